"""Which plugins run: upstream's order, its defaults, and what the options enable or disable."""

from __future__ import annotations

from collections.abc import Callable

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Reader
from bareboat_admission_builtin.limit_ranger import LimitRanger
from bareboat_admission_builtin.options import Options
from bareboat_admission_builtin.quota.plugin import ResourceQuota

Makers = dict[str, Callable[[], AdmissionPlugin]]
OFF_BY_DEFAULT = frozenset({"AlwaysPullImages", "PodNodeSelector", "ExtendedResourceToleration", "DenyServiceExternalIPs"})


def chosen(reader: Reader, host: AdmissionHost, options: Options) -> list[AdmissionPlugin]:
    """Raises ValueError for a name that is no plugin."""
    makers = _makers(reader, host, options)
    for name in [*options.enable, *options.disable]:
        if name not in makers:
            raise ValueError(f"admission-builtin: there is no plugin {name!r}; plugins: {', '.join(makers)}")
    wanted = [n for n in makers if n not in options.disable and (n not in OFF_BY_DEFAULT or n in options.enable)]
    return [makers[name]() for name in wanted]


def _makers(reader: Reader, host: AdmissionHost, options: Options) -> Makers:
    """In the order in which they run."""
    del options
    return {
        "LimitRanger": lambda: LimitRanger(reader),
        "ResourceQuota": lambda: ResourceQuota(reader, host),
    }
