"""From the cluster file to loaded plugins: which entry points it names, loaded all at once so that every problem is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bareboat.cluster.file.reading import ClusterFileError, Lines
from bareboat.cluster.file.shape import ClusterFile, Runtime, Use, node_of
from bareboat.plugins.inventory import DRIVER_GROUPS
from bareboat.plugins.loader import Choice, Hooks, LoadedDriver, Loader
from bareboat.plugins.problems import PluginErrors, Problem


class NodePlugins(msgspec.Struct, frozen=True, kw_only=True):
    """Drivers of a node; ``runtimes`` by handler, "" being the default. ``hooks`` are the plugins that contribute services."""

    runtimes: dict[str, LoadedDriver]
    network: LoadedDriver
    proxy: LoadedDriver
    network_policy: LoadedDriver | None
    storage: tuple[LoadedDriver, ...] = ()
    buckets: tuple[LoadedDriver, ...] = ()
    hooks: Hooks | None = None


class ServerPlugins(msgspec.Struct, frozen=True, kw_only=True):
    store: LoadedDriver
    hooks: Hooks


def _choice(entry: Use | Runtime, path: str, lines: Lines | None) -> Choice:
    where = f"line {lines.of('$.' + path)}: {path}" if lines else path
    isolate = isinstance(entry, Use) and entry.isolate
    return Choice(use=entry.use, dist=entry.dist, options=entry.options, where=where, isolate=isolate)


def node_plugins(cluster: ClusterFile, loader: Loader, lines: Lines | None = None) -> NodePlugins:
    """Raises PluginErrors."""
    wanted: list[tuple[str, Choice]] = [
        (DRIVER_GROUPS["runtime"], _choice(r, f"node.runtimes[{i}].use", lines)) for i, r in enumerate(cluster.node.runtimes)
    ]
    wanted.append((DRIVER_GROUPS["network"], _choice(cluster.node.network, "node.network.use", lines)))
    wanted.append((DRIVER_GROUPS["proxy"], _choice(cluster.node.proxy, "node.proxy.use", lines)))
    policy = cluster.node.networkPolicy
    if policy is not None:
        wanted.append((DRIVER_GROUPS["networkPolicy"], _choice(policy, "node.networkPolicy.use", lines)))
    for word, uses in (("storage", cluster.node.storage), ("buckets", cluster.node.buckets)):
        wanted += [(DRIVER_GROUPS[word], _choice(use, f"node.{word}[{i}].use", lines)) for i, use in enumerate(uses)]
    loaded = iter(loader.drivers(wanted))
    runtimes = [next(loaded) for _ in cluster.node.runtimes]
    by_handler = {"": runtimes[0]}
    by_handler.update({r.handler: d for r, d in zip(cluster.node.runtimes, runtimes, strict=True) if r.handler})
    return NodePlugins(
        runtimes=by_handler,
        network=next(loaded),
        proxy=next(loaded),
        network_policy=next(loaded) if policy is not None else None,
        storage=tuple(next(loaded) for _ in cluster.node.storage),
        buckets=tuple(loaded),
        hooks=loader.hooks([_choice(p, f"node.plugins[{i}].use", lines) for i, p in enumerate(cluster.node.plugins)]),
    )


def plugins_of(cluster: ClusterFile, node: str, loader: Loader, lines: Lines | None = None) -> NodePlugins:
    """Of the node of that name. Raises PluginErrors."""
    return node_plugins(msgspec.structs.replace(cluster, node=node_of(cluster, node)), loader, lines)


def hook_choices(cluster: ClusterFile, lines: Lines | None = None) -> list[Choice]:
    """Every hook plugin that the file names, once."""
    found = [_choice(p, f"plugins[{i}].use", lines) for i, p in enumerate(cluster.plugins)]
    found += [_choice(p, f"node.plugins[{i}].use", lines) for i, p in enumerate(cluster.node.plugins)]
    return list({choice.use: choice for choice in reversed(found)}.values())[::-1]


def server_plugins(cluster: ClusterFile, loader: Loader, lines: Lines | None = None) -> ServerPlugins:
    """Raises PluginErrors."""
    (store,) = loader.drivers([(DRIVER_GROUPS["store"], _choice(cluster.store, "store.use", lines))])
    hooks = loader.hooks([_choice(p, f"plugins[{i}].use", lines) for i, p in enumerate(cluster.plugins)])
    return ServerPlugins(store=store, hooks=hooks)


def check(cluster: ClusterFile, loader: Loader, lines: Lines | None = None) -> None:
    """Load everything that the file names, as server and node would. Raises PluginErrors with all problems of all of it."""
    problems: list[Problem] = []
    sets = [msgspec.structs.replace(cluster, node=found.over(cluster.node)) for found in cluster.nodes]
    for load, file in ((server_plugins, cluster), *((node_plugins, file) for file in (cluster, *sets))):
        try:
            load(file, loader, lines)
        except PluginErrors as error:
            problems += [p for p in error.problems if p not in problems]
    if problems:
        raise PluginErrors(problems)


def ordered(contributed: list[Any], names: list[str], what: str) -> list[Any]:
    """The contributed objects named in the file, in its order; all of them, as contributed, when the file names none."""
    if not names:
        return contributed
    by_name = {c.name: c for c in contributed}
    missing = [n for n in names if n not in by_name]
    if missing:
        known = ", ".join(sorted(by_name)) or "none"
        raise PluginErrors(
            [Problem(plugin=n, group=what, message=f"no enabled plugin contributes it; contributed: {known}") for n in missing]
        )
    return [by_name[n] for n in names]


def enabled_controllers(known: Sequence[str], wanted: Sequence[str]) -> set[str]:
    """Of ``known`` the names that the cluster file's ``controllers`` lets run. Raises ClusterFileError for a name that is none."""
    found: set[str] = set()
    unknown = [name for name in wanted if name != "*" and name.removeprefix("-") not in known]
    if unknown:
        raise ClusterFileError("controllers", 0, f'unknown "{unknown[0]}"; known are {", ".join(sorted(known))}, and *')
    if "*" in wanted:
        found = set(known)
    found |= {name for name in wanted if name in known}
    return found - {name.removeprefix("-") for name in wanted if name.startswith("-")}
