"""``bareboat node list|stop|start|add|remove``: the nodes of a running cluster on this machine."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import Steps, print_json, table

if TYPE_CHECKING:
    from bareboat.cluster.nodes import Nodes

VERBS = {
    "list": "show the nodes, their agents and their state",
    "stop": "stop the agents of nodes, as if they had died; containers go on",
    "start": "start the agents of nodes that do not run",
    "add": "add nodes",
    "remove": "remove nodes and everything that they have on this machine",
}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if name != "list":
            verb.add_argument("node", nargs="*" if name == "add" else "+", metavar="NODE", help="name of a node; may be repeated")
        add_cluster_options(verb)
        verb.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.nodes import loaded
    from bareboat.cluster.standing import look

    _, _, layout = cluster_of(arguments)
    nodes = loaded(layout)
    if arguments.verb != "list":
        await _VERBS[arguments.verb](nodes, arguments.node, Steps(quiet=arguments.output == "json"))
    if arguments.verb == "list" or arguments.output == "json":
        rows = (await look(nodes)).nodes
        if arguments.output == "json":
            print_json(rows)
        else:
            headers = ("NODE", "STATE", "AGENT", "PID", "ADDRESS", "POD NETWORK", "PODS")
            table(headers, [(n.name, n.state, n.agent, str(n.pid or "-"), n.address or "-", n.podCIDR or "-", str(n.pods)) for n in rows])
    return 0


async def _stop(nodes: Nodes, names: list[str], steps: Steps) -> None:
    chosen = nodes.named(names)
    with steps.step(f"Stopped {', '.join(names)}"):
        await nodes.stop(chosen)
    steps.say("NotReady after 40 s; pods leave after that when their toleration of it is over (usually 300 s)")


async def _start(nodes: Nodes, names: list[str], steps: Steps) -> None:
    chosen = nodes.named(names)
    with steps.step(f"Started {', '.join(names)}"):
        await nodes.start(chosen)
        await nodes.ready(chosen)


async def _add(nodes: Nodes, names: list[str], steps: Steps) -> None:
    nodes.growable()
    made = [nodes.plan(name) for name in names or [""]]
    with steps.step(f"Added {', '.join(n.name for n in made)}"):
        await nodes.start(made)
        await nodes.ready(made)


async def _remove(nodes: Nodes, names: list[str], steps: Steps) -> None:
    for node in nodes.named(names):
        with steps.step(f"Removed {node.name}"):
            await nodes.remove(node)


_VERBS = {"stop": _stop, "start": _start, "add": _add, "remove": _remove}
