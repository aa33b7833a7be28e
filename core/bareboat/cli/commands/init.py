"""``bareboat init``: a cluster that other machines can join, prepared and, if asked, started."""

from __future__ import annotations

import argparse
import asyncio

from bareboat.cli.logs import add_logging_options, configure, passed_on
from bareboat.cli.options import add_cluster_options, add_server_options, cluster_of
from bareboat.cli.screen import Steps, print_json


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_server_options(parser)
    parser.add_argument(
        "--advertise-address", default="", metavar="IP", help="address under which others reach this server (default: this machine's)"
    )
    parser.add_argument("--token", default="", metavar="TOKEN", help="the first bootstrap token (default: a random one)")
    parser.add_argument("--token-ttl", default="24h", metavar="TIME", help="how long it is good, such as 30m, 24h, 7d; 0 for ever")
    parser.add_argument("--start", action="store_true", help="also start the server and leave it running (`bareboat down` stops it)")
    add_logging_options(parser)
    parser.add_argument("--output", "-o", choices=["text", "json"], default="text")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    import msgspec

    from bareboat.base.clock import SystemClock
    from bareboat.cluster.hosts import primary_address
    from bareboat.cluster.joining.init import prepare
    from bareboat.cluster.up import copy_kubeconfig

    cluster, _, layout = cluster_of(arguments)
    configure(arguments)
    steps = Steps(quiet=arguments.output == "json")
    address = arguments.advertise_address or primary_address()
    with steps.step("Cluster prepared") as step:
        made = prepare(layout, cluster, address, SystemClock(), token=arguments.token, ttl=arguments.token_ttl)
        step.detail = made.dataDir
    if arguments.write_kubeconfig:
        copy_kubeconfig(layout, arguments.write_kubeconfig)
    serve = ["server", "--data-dir", made.dataDir, "--advertise-address", address, *passed_on(arguments)]
    if arguments.start:
        from bareboat.cluster import state as states
        from bareboat.cluster.processes import start
        from bareboat.cluster.state import ClusterState

        with steps.step("Control plane ready"):
            process, _ = await start(serve, layout.logs / "server.log")
            states.save(layout, ClusterState(name=cluster.name, url=f"https://{made.endpoint}", server=process))
    if arguments.output == "json":
        print_json({**msgspec.to_builtins(made), "join": made.join})
        return 0
    if not arguments.start:
        steps.say(f"\nstart it:\n  bareboat {' '.join(serve)}")
    steps.say(f"\nexport KUBECONFIG={arguments.write_kubeconfig or layout.kubeconfig}")
    steps.say(f"\njoin further machines within {arguments.token_ttl}, on each as root:\n  {made.join}")
    return 0
