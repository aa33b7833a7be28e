"""``bareboat up``."""

from __future__ import annotations

import argparse
import asyncio
import signal

from bareboat.cli.options import add_cluster_options, add_server_options, cluster_of
from bareboat.cli.screen import Steps, print_json


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_server_options(parser)
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="number of nodes; more than one: each in a network namespace of its own"
    )
    parser.add_argument("--fake", action="store_true", help="nodes as data: no root, no containers")
    parser.add_argument("--foreground", action="store_true", help="stay until SIGTERM, then take the cluster down again (its data stays)")
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    if arguments.nodes < 1:
        from bareboat.cluster.errors import ClusterError

        raise ClusterError(f"--nodes {arguments.nodes}: at least 1 is needed")
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.down import down
    from bareboat.cluster.up import Quiet, Up, copy_kubeconfig

    cluster, lines, layout = cluster_of(arguments)
    quiet = arguments.foreground or arguments.output == "json"
    steps = Steps(quiet=quiet)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT) if arguments.foreground else ():
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    up = Up(layout, cluster, nodes=arguments.nodes, fake=arguments.fake, lines=lines)
    state = await up.run(steps)
    if arguments.write_kubeconfig:
        copy_kubeconfig(layout, arguments.write_kubeconfig)
    if arguments.output == "json":
        print_json(state)
    elif arguments.foreground:
        print(f"bareboat up: ready at {state.url}", flush=True)
    else:
        steps.say(f"\nexport KUBECONFIG={arguments.write_kubeconfig or layout.kubeconfig}\nkubectl get nodes,pods -A")
    if arguments.foreground:
        await stopped.wait()
        await down(layout, Quiet())
    return 0
