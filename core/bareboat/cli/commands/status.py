"""``bareboat status``: how the cluster stands."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table, toned

if TYPE_CHECKING:
    from bareboat.cluster.standing import Standing


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    parser.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.nodes import loaded
    from bareboat.cluster.standing import as_tree, look

    _, _, layout = cluster_of(arguments)
    found = asyncio.run(look(loaded(layout)))
    if arguments.output == "json":
        print_json(as_tree(found))
    else:
        _show(found)
    return 0 if found.well else 1


def _show(found: Standing) -> None:
    verdict = toned("well", "green") if found.well else toned("not well", "red")
    print(f"Cluster {found.name}: {verdict}   {found.version or 'the API server does not answer'}\n")
    rows = [(c.component, c.address or "-", _toned(c.state), str(c.pid or "-"), _size(c.memory)) for c in found.components]
    table(("COMPONENT", "ADDRESS", "STATE", "PID", "MEMORY (PSS)"), rows)
    store = found.store
    print(f"\nStore: {_size(store.bytes)}, revision {store.revision}, {store.objects} objects")
    print(f"Event loop: {found.loopLag * 1000:.1f} ms late, at worst {found.loopLagWorst * 1000:.1f} ms in the last minute\n")
    nodes = [(n.name, _toned(n.state), _toned(n.agent), n.address or "-", n.podCIDR or "-", str(n.pods)) for n in found.nodes]
    table(("NODE", "STATE", "AGENT", "ADDRESS", "POD NETWORK", "PODS"), nodes)
    if found.plugins:
        print()
        table(("PLUGIN", "CONTRACT", "VERSION", "STATE", "WHERE"), _plugins(found))


def _plugins(found: Standing) -> list[tuple[str, ...]]:
    """One row for all places that have the same plugin in the same state."""
    places: dict[tuple[str, ...], list[str]] = {}
    for plugin in found.plugins:
        places.setdefault((plugin["name"], plugin["contract"], plugin["version"], plugin["state"]), []).append(plugin["node"])
    return [(*key[:3], _toned(key[3]), ", ".join(n) if len(n) <= 4 else f"{len(n)} nodes") for key, n in places.items()]


def _toned(state: str) -> str:
    colours = {"running": "green", "Ready": "green", "Loaded": "green", "elsewhere": "", "Unknown": "yellow"}
    return toned(state, colours.get(state, "red"))


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB" if count else "-"
