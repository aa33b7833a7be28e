"""``bareboat agent``: the agent of one or more nodes in this process, or the removal of what such an agent made."""

from __future__ import annotations

import argparse
import asyncio
import signal

from bareboat.cli.logs import add_logging_options, configure
from bareboat.cli.options import add_cluster_options, cluster_of


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    parser.add_argument("--node", action="append", required=True, metavar="NAME", help="name of a node; may be repeated")
    parser.add_argument("--node-address", default="", metavar="IP", help="the node's own address, if it has a network namespace of its own")
    parser.add_argument("--teardown", action="store_true", help="remove every container, network and rule of the node from the machine")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    add_logging_options(parser)


def run(arguments: argparse.Namespace) -> int:
    configure(arguments)
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.agents import Agents
    from bareboat.cluster.file.choices import plugins_of
    from bareboat.cluster.processes import announce
    from bareboat.plugins.loader import Loader

    cluster, lines, layout = cluster_of(arguments)
    plugins = {name: plugins_of(cluster, name, Loader(), lines) for name in arguments.node}
    agents = Agents(cluster, layout, plugins, arguments.node_address)
    names = ", ".join(arguments.node)
    if arguments.teardown:
        await agents.teardown()
        announce(arguments.ready_fd, f"bareboat agent: {names} removed")
        return 0
    loop = asyncio.get_running_loop()
    serving = loop.create_task(agents.run(), name="agents")
    stopped = loop.create_task(_signalled(loop), name="signals")
    ready = loop.create_task(agents.ready.wait(), name="ready")
    await asyncio.wait([serving, stopped, ready], return_when=asyncio.FIRST_COMPLETED)
    if ready.done() and not serving.done():
        announce(arguments.ready_fd, f"bareboat agent: ready, nodes {names}")
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return 0


async def _signalled(loop: asyncio.AbstractEventLoop) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
