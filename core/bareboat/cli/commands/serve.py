"""``bareboat serve CONTRACT PLUGIN --socket PATH``: a driver on the standard socket of its upstream specification, without a cluster.

The driver is opened as an agent would open it, in a directory of its own, and served by the installed face of its contract until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import signal
from pathlib import Path
from typing import Any

import msgspec

from bareboat.cluster.errors import ClusterError

#: Contract's short name → the word for its drivers.
CONTRACTS = {"csi": "storage", "cri": "runtime"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("contract", choices=sorted(CONTRACTS), help="which socket to offer")
    parser.add_argument("plugin", help="name of the driver, as in the cluster file")
    parser.add_argument("--socket", type=Path, required=True, help="path of the UNIX socket")
    parser.add_argument("--options", default="{}", metavar="JSON", help="the driver's options (default: none)")
    parser.add_argument("--state-dir", type=Path, help="the driver's own directory (default: /var/lib/bareboat/serve/PLUGIN)")
    parser.add_argument("--node", default="", help="what the driver is told that its node is called (default: the host's name)")


def run(arguments: argparse.Namespace) -> int:
    asyncio.run(_serve(arguments))
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    from bareboat.contracts import face
    from bareboat.plugins.inventory import DRIVER_GROUPS
    from bareboat.plugins.loader import Choice, Loader

    try:
        options: Any = msgspec.json.decode(arguments.options)
    except msgspec.DecodeError as error:
        raise ClusterError(f"--options: not JSON: {error}") from error
    if not isinstance(options, dict):
        raise ClusterError('--options: must be an object such as {"directory": "/srv"}')
    choice = Choice(use=arguments.plugin, options=options, where="PLUGIN")
    found, served = Loader().drivers(
        [(DRIVER_GROUPS[CONTRACTS[arguments.contract]], choice), (face.GROUP, Choice(use=arguments.contract, where="CONTRACT"))]
    )
    driver, host = _created(found, arguments)
    try:
        await driver.open()
        print(f"bareboat serve: {arguments.plugin} on {arguments.socket}", flush=True)
        await _until_told(served.cls(driver, arguments.socket).run())
    finally:
        await driver.close()
        host.close()


def _created(found: Any, arguments: argparse.Namespace) -> tuple[Any, Any]:
    import socket

    from bareboat.base.clock import SystemClock
    from bareboat.cluster.driver_host import DriverHost

    directory = arguments.state_dir or Path("/var/lib/bareboat/serve") / arguments.plugin
    instance = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    name = f"{arguments.contract}-{arguments.plugin}"
    node = arguments.node or socket.gethostname()
    host = DriverHost(name=name, node_name=node, instance=instance, state_dir=directory, clock=SystemClock())
    return found.cls(found.options, host), host


async def _until_told(work: Any) -> None:
    """Ends the work at SIGTERM and SIGINT."""
    serving = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
