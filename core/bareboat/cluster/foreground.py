"""``bareboat up --foreground``: stay with the cluster, start again what ends unasked, and end with it.

What comes in: a cluster that ``up`` brought up. What goes out, at SIGTERM: either no trace of it (``down``), or its containers left alone,
which is what a service manager wants: it restarts us, and they go on. systemd is told when we are ready.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from bareboat.cluster import state as states
from bareboat.cluster.down import down, halt
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.processes import StartFailed
from bareboat.cluster.state import ClusterState
from bareboat.cluster.up import Quiet, Up

log = logging.getLogger("bareboat.up")
LOOK_EVERY = 2.0


async def stay(up: Up, stopped: asyncio.Event, *, keep: bool) -> None:
    """Until ``stopped``. ``keep`` leaves containers, networks and rules where they are."""
    notify("READY=1")
    while not await _within(stopped, LOOK_EVERY):
        state = states.load(up.layout)
        if state is None:  # somebody took the cluster down
            return
        if _missing(state):
            await _mend(up, state)
    notify("STOPPING=1")
    await (halt(up.layout) if keep else down(up.layout, Quiet()))


async def _mend(up: Up, state: ClusterState) -> None:
    log.warning("not running any more: %s; starting again", ", ".join(_missing(state)))
    try:
        await Up.resumed(up, state).run(Quiet())
    except (ClusterError, StartFailed) as error:
        log.warning("cannot be started again yet: %s", error)


def _missing(state: ClusterState) -> list[str]:
    dead = [n.name for n in state.nodes if not n.alive and not n.stopped]
    return dead if state.server is not None and state.server.alive else ["server", *dead]


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def notify(message: str) -> None:
    """Tell systemd, if it started us with Type=notify."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
        messenger.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)
