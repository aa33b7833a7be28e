"""Is a driver class sound? Pure functions over the class; nothing is instantiated and no verb is called.

A driver must subclass its contract's base class, leave no verb abstract, write every ``async`` verb as ``async`` and with the contract's
arguments, declare the mixin of every optional verb that it has, describe itself with the right contract name, and refuse unknown
options. What is wrong comes back as a list of sentences. Contributions of hooks are looked at in ``plugins.contributions``.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Protocol

import msgspec

from bareboat.contracts.cni import NetworkDriver
from bareboat.contracts.cosi import BucketDriver
from bareboat.contracts.cri import RuntimeDriver
from bareboat.contracts.csi import VolumeDriver
from bareboat.contracts.driver import PluginInfo
from bareboat.contracts.face import Face
from bareboat.contracts.netpolicy import NetworkPolicyDriver
from bareboat.contracts.proxy import ProxyDriver
from bareboat.contracts.store import Store
from bareboat.plugins.inventory import DRIVER_GROUPS, GROUPS

BASES: dict[str, type[Any]] = {
    DRIVER_GROUPS["runtime"]: RuntimeDriver,
    DRIVER_GROUPS["network"]: NetworkDriver,
    DRIVER_GROUPS["proxy"]: ProxyDriver,
    DRIVER_GROUPS["networkPolicy"]: NetworkPolicyDriver,
    DRIVER_GROUPS["storage"]: VolumeDriver,
    DRIVER_GROUPS["buckets"]: BucketDriver,
    DRIVER_GROUPS["store"]: Store,
    GROUPS["face"]: Face,
}

#: Contracts whose drivers may have a process of their own: their verbs take and give values, no streams.
ISOLABLE = frozenset(DRIVER_GROUPS[word] for word in ("network", "proxy", "networkPolicy", "storage", "buckets"))


def driver_faults(group: str, found: Any) -> list[str]:
    """Everything that keeps ``found`` from being a driver of ``group``; empty when it is sound."""
    base = BASES[group]
    if not inspect.isclass(found):
        return [f"the entry point names {found!r}, not a class"]
    if not issubclass(found, base):
        return [f"{found.__name__} is not a subclass of {base.__module__}.{base.__name__}"]
    faults = [f"verb {verb} is missing: {meaning(base, verb)}" for verb in missing_verbs(found)]
    faults += _sync_overrides(found, base) + _signature_faults(found, base) + _mixin_faults(found, base)
    return faults + _description_faults(group, found) + _option_faults(found)


def missing_verbs(found: type[Any]) -> list[str]:
    return sorted(getattr(found, "__abstractmethods__", ()))


def meaning(base: type[Any], verb: str) -> str:
    """The first line of what the contract says of a verb."""
    return (inspect.getdoc(getattr(base, verb)) or "").split("\n", 1)[0]


def mixins(base: type[Any]) -> list[type[Any]]:
    """The contract's optional verbs: classes beside its base class that have some."""
    found = [c for c in vars(sys.modules[base.__module__]).values() if inspect.isclass(c) and c.__module__ == base.__module__]
    plain = [c for c in found if not issubclass(c, msgspec.Struct | base) and Protocol not in c.__mro__]
    return [c for c in plain if _verbs(c)]


def _verbs(cls: type[Any]) -> list[str]:
    return [name for name, verb in vars(cls).items() if inspect.isfunction(verb) and not name.startswith("_")]


def isolation_faults(group: str, found: Any) -> list[str]:
    """What keeps a plugin from running in a process of its own."""
    if group not in ISOLABLE:
        return [f"`isolate` is for drivers of {', '.join(sorted(ISOLABLE))}: remove it"]
    if getattr(found, "driver_name", None) == "":
        return ["it learns its name when it is open, so it cannot be isolated: remove `isolate`"]
    return []


def _sync_overrides(found: type[Any], base: type[Any]) -> list[str]:
    faults = []
    for name, verb in inspect.getmembers(base, inspect.iscoroutinefunction):
        own = getattr(found, name)
        if own is not verb and not inspect.iscoroutinefunction(own):
            faults.append(f"verb {name} must be `async def`")
    return faults


def _signature_faults(found: type[Any], base: type[Any]) -> list[str]:
    """The kernel calls verbs with the contract's arguments, by position or by name."""
    faults = []
    for cls in (base, *(m for m in mixins(base) if issubclass(found, m))):
        for verb in _verbs(cls):
            own, asked = getattr(found, verb), getattr(cls, verb)
            if own is not asked and callable(own) and not _takes(own, asked):
                faults.append(f"verb {verb}{_shown(own)} does not take what the contract passes: {verb}{_shown(asked)}")
    return faults


def _takes(own: Any, asked: Any) -> bool:
    have, wanted = list(inspect.signature(own).parameters.values()), list(inspect.signature(asked).parameters.values())
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in have):
        return True
    by_name = {p.name: p for p in have}
    if any(p.name not in by_name or (p.default is not p.empty and by_name[p.name].default is p.empty) for p in wanted[1:]):
        return False
    positional = [p.name for p in wanted[1:] if p.kind is not p.KEYWORD_ONLY]
    extra = [p for p in have[1:] if p.name not in {w.name for w in wanted}]
    return [p.name for p in have[1:]][: len(positional)] == positional and all(p.default is not p.empty for p in extra)


def _shown(verb: Any) -> str:
    return "(" + ", ".join(str(p) for p in list(inspect.signature(verb).parameters.values())[1:]) + ")"


def _mixin_faults(found: type[Any], base: type[Any]) -> list[str]:
    """What a driver can do is what it declares: a verb without its mixin is never called, a mixin without its verb fails when it is."""
    faults = []
    for mixin in mixins(base):
        for verb in _verbs(mixin):
            written = getattr(found, verb, None) not in (None, getattr(mixin, verb))
            if written and not issubclass(found, mixin):
                faults.append(f"verb {verb} is written, but {mixin.__name__} is no base class: the kernel would never call it")
            elif issubclass(found, mixin) and not written:
                faults.append(f"{mixin.__name__} is declared, but verb {verb} is missing: {meaning(mixin, verb)}")
    flags: dict[str, type[Any]] = getattr(sys.modules[base.__module__], "MIXINS", {})
    for flag, mixin in flags.items():
        if getattr(found.capabilities, flag, False) and not issubclass(found, mixin):
            faults.append(f"capabilities.{flag} is True, but {mixin.__name__} is no base class: its verbs are missing")
    wanted = getattr(base, "capabilities", None)
    if wanted is not None and not isinstance(found.capabilities, type(wanted)):
        faults.append(f"`capabilities` must be a {type(wanted).__module__}.Capabilities")
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
