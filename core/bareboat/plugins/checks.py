"""Is a driver class sound? Pure functions over the class; nothing is instantiated and no verb is called.

A driver must subclass its contract's base class, leave no verb abstract, write every ``async`` verb as ``async``, describe
itself with the right contract name, and refuse unknown options. What is wrong comes back as a list of sentences.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from bareboat.contracts.cni import NetworkDriver
from bareboat.contracts.cosi import BucketDriver
from bareboat.contracts.cri import RuntimeDriver
from bareboat.contracts.csi import VolumeDriver
from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.face import Face
from bareboat.contracts.proxy import ProxyDriver
from bareboat.contracts.store import Store
from bareboat.plugins.inventory import DRIVER_GROUPS, GROUPS

BASES: dict[str, type[Any]] = {
    DRIVER_GROUPS["runtime"]: RuntimeDriver,
    DRIVER_GROUPS["network"]: NetworkDriver,
    DRIVER_GROUPS["proxy"]: ProxyDriver,
    DRIVER_GROUPS["storage"]: VolumeDriver,
    DRIVER_GROUPS["buckets"]: BucketDriver,
    DRIVER_GROUPS["store"]: Store,
    GROUPS["face"]: Face,
}


def driver_faults(group: str, found: Any) -> list[str]:
    """Everything that keeps ``found`` from being a driver of ``group``; empty when it is sound."""
    base = BASES[group]
    if not inspect.isclass(found):
        return [f"the entry point names {found!r}, not a class"]
    if not issubclass(found, base):
        return [f"{found.__name__} is not a subclass of {base.__module__}.{base.__name__}"]
    faults = [f"verb {verb} is missing" for verb in sorted(getattr(found, "__abstractmethods__", ()))]
    faults += _sync_overrides(found, base)
    return faults + _description_faults(group, found) + _option_faults(found)


def _sync_overrides(found: type[Any], base: type[Any]) -> list[str]:
    faults = []
    for name, verb in inspect.getmembers(base, inspect.iscoroutinefunction):
        own = getattr(found, name)
        if own is not verb and not inspect.iscoroutinefunction(own):
            faults.append(f"verb {name} must be `async def`")
    return faults


def _description_faults(group: str, found: type[Any]) -> list[str]:
    info = getattr(found, "info", None)
    if not isinstance(info, PluginInfo):
        return ["class attribute `info` must be a PluginInfo"]
    if info.contract != group:
        return [f"`info.contract` is {info.contract!r} but the entry point is in {group!r}"]
    return []


def _option_faults(found: type[Any]) -> list[str]:
    options = getattr(found, "Options", None)
    if not (inspect.isclass(options) and issubclass(options, msgspec.Struct)):
        return ["class attribute `Options` must be a msgspec.Struct"]
    if not options.__struct_config__.forbid_unknown_fields:
        return ["`Options` must be declared with forbid_unknown_fields=True, so that a misspelled option is refused"]
    return []
