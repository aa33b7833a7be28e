"""``bareboat server``: the control plane in this process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import time

from bareboat.cli.logs import add_logging_options, configure
from bareboat.cli.options import add_cluster_options, add_server_options, cluster_of


def add(parser: argparse.ArgumentParser) -> None:
    add_cluster_options(parser)
    add_server_options(parser)
    parser.add_argument("--advertise-address", default="", metavar="IP", help="address under which pods and nodes reach this server")
    parser.add_argument(
        "--foreground", action="store_true", help="accepted for symmetry with `up`: a server always stays in the foreground"
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    add_logging_options(parser)


def run(arguments: argparse.Namespace) -> int:
    import uvloop

    configure(arguments)
    return uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    from bareboat.cluster.errors import ClusterError
    from bareboat.cluster.file.choices import server_plugins
    from bareboat.cluster.live import LiveFile
    from bareboat.cluster.processes import announce
    from bareboat.cluster.server import ControlPlane
    from bareboat.cluster.up import copy_kubeconfig
    from bareboat.plugins.loader import Loader

    cluster, lines, layout = cluster_of(arguments)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    plane = ControlPlane(cluster, layout, server_plugins(cluster, Loader(), lines), advertise=arguments.advertise_address)
    try:
        await plane.start()
    except OSError as error:
        raise ClusterError(
            f"cannot listen on {cluster.server.address}:{cluster.server.port}: {error.strerror}; choose another --port"
        ) from error
    if arguments.write_kubeconfig:
        copy_kubeconfig(layout, arguments.write_kubeconfig)
    announce(arguments.ready_fd, f"bareboat server: ready at {plane.url} in {time.monotonic() - started:.2f} s")
    live = LiveFile(plane, cluster, lambda: cluster_of(arguments)[:2])
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, live.reload)
    await stopped.wait()
    await plane.stop()
    return 0
