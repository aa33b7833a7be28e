"""Is what a hook returned sound? Pure functions over the contributed objects; none of their verbs is called.

In: the hook's name and what a plugin returned for it. Out: sentences. A hook returns a list; each item is of the contract's base class,
has a name where the cluster file may name it, and writes ``async`` verbs as ``async``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from bareboat.contracts.admission import AdmissionPlugin
from bareboat.contracts.auth import Authenticator, Authorizer
from bareboat.contracts.contributions import Command, HttpApp, Kind, NodeService
from bareboat.contracts.scheduling import SchedulingPolicy

BASES: dict[str, type[Any]] = {
    "bareboat_authenticators": Authenticator,
    "bareboat_authorizers": Authorizer,
    "bareboat_admission": AdmissionPlugin,
    "bareboat_scheduling_policies": SchedulingPolicy,
    "bareboat_node_services": NodeService,
}


def faults_of(hook: str, returned: Any) -> list[str]:
    """Everything that is wrong with what one plugin contributes by one hook."""
    if not isinstance(returned, list | tuple):
        return [f"{hook} returned {type(returned).__name__}, not a list"]
    judge: Callable[[Any], list[str]] = _OTHERS.get(hook, lambda item: _of_base(BASES[hook], item) if hook in BASES else [])
    return [f"{hook}: {fault}" for item in returned for fault in judge(item)]


def _of_base(base: type[Any], item: Any) -> list[str]:
    where = f"{base.__module__}.{base.__name__}"
    if not isinstance(item, base):
        return [f"{item!r} is not a {where}"]
    cls = type(item)
    faults = [f"{cls.__name__}: verb {verb} is missing" for verb in sorted(getattr(cls, "__abstractmethods__", ()))]
    if not isinstance(getattr(item, "name", None), str) or not item.name:
        faults.append(f"{cls.__name__} has no `name`, by which the cluster file would name it")
    for name, verb in inspect.getmembers(base, inspect.isfunction):
        own = getattr(cls, name)
        if own is verb:
            continue
        if inspect.iscoroutinefunction(verb) and not inspect.iscoroutinefunction(own):
            faults.append(f"{cls.__name__}: verb {name} must be `async def`")
        elif not inspect.iscoroutinefunction(verb) and inspect.iscoroutinefunction(own):
            faults.append(f"{cls.__name__}: verb {name} must not be async")
    return faults


def _controller(item: Any) -> list[str]:
    if not inspect.isclass(item) or not hasattr(item, "run") or not getattr(item, "name", ""):
        return [f"{item!r} is not a subclass of bareboat.reconcile.controller.Controller with a name"]
    return []


def _tree(item: Any) -> list[str]:
    if not isinstance(item, dict) or not all(item.get(k) for k in ("apiVersion", "kind", "metadata")):
        return [f"{str(item)[:60]!r} is no object: a tree with apiVersion, kind and metadata is needed"]
    return []


def _observer(item: Any) -> list[str]:
    return [] if callable(getattr(item, "observe", None)) else [f"{item!r} has no observe(event, fields)"]


def _kind(item: Any) -> list[str]:
    if not isinstance(item, Kind):
        return [f"{item!r} is not a bareboat.contracts.contributions.Kind"]
    if bool(item.schema) == (item.type is not None):
        return [f"kind {item.kind}: give either `type` or `schema`"]
    try:
        item.definition()
    except TypeError as error:
        return [f"kind {item.kind}: {error}"]
    return []


def _app(item: Any) -> list[str]:
    if not isinstance(item, HttpApp) or not callable(item.app):
        return [f"{item!r} is not a bareboat.contracts.contributions.HttpApp with an ASGI application"]
    return [] if re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", item.name) else [f"application name {item.name!r} is no path segment"]


def _command(item: Any) -> list[str]:
    if not isinstance(item, Command) or not callable(item.run):
        return [f"{item!r} is not a bareboat.contracts.contributions.Command"]
    return ["run must not be async"] if inspect.iscoroutinefunction(item.run) else []


_OTHERS: dict[str, Callable[[Any], list[str]]] = {
    "bareboat_controllers": _controller,
    "bareboat_bootstrap_objects": _tree,
    "bareboat_observers": _observer,
    "bareboat_kinds": _kind,
    "bareboat_http_apps": _app,
    "bareboat_cli": _command,
}
