"""``bareboat up``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from bareboat.cli.logs import add_logging_options, configure, passed_on
from bareboat.cli.options import add_cluster_options, add_server_options, cluster_of
from bareboat.cli.screen import Steps, print_json


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_server_options(parser)
    parser.add_argument(
        "--nodes",
        type=int,
        metavar="N",
        help="number of nodes; more than one: each in a network namespace of its own (default: those that the cluster had, else 1)",
    )
    parser.add_argument("--fake", action="store_true", help="nodes as data: no root, no containers")
    parser.add_argument("--foreground", action="store_true", help="stay until SIGTERM, then take the cluster down again (its data stays)")
    parser.add_argument("--keep", action="store_true", help="with --foreground: leave the containers running at SIGTERM")
    parser.add_argument("--plan", action="store_true", help="show what the cluster file would change in the cluster, and change nothing")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask before changes are applied (never asked without a terminal)")
    add_logging_options(parser)
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    if arguments.nodes is not None and arguments.nodes < 1:
        from bareboat.cluster.errors import ClusterError

        raise ClusterError(f"--nodes {arguments.nodes}: at least 1 is needed")
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.file.plan import shown
    from bareboat.cluster.up import Up, copy_kubeconfig

    cluster, lines, layout = cluster_of(arguments)
    configure(arguments)
    steps = Steps(quiet=arguments.foreground or arguments.output == "json")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT) if arguments.foreground else ():
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    as_data = arguments.fake or cluster.node.network.use == "fake"
    up = Up(layout, cluster, count=arguments.nodes, fake=as_data, lines=lines, logging=passed_on(arguments))
    if arguments.plan or (sys.stdin.isatty() and not arguments.yes):
        planned = up.plan()
        for change in planned:
            print(shown(change))
        if arguments.plan:
            count = "1 change" if len(planned) == 1 else f"{len(planned)} changes"
            print(f"{count}; nothing was changed" if planned else "nothing would change")
            return 0
        if planned and (await asyncio.to_thread(input, "Apply? [y/N] ")).strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return 1
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
        from bareboat.cluster.foreground import stay

        await stay(up, stopped, keep=arguments.keep)
    return 0
