"""Memory of the server process (PSS) and how long it takes to be ready, empty and with Pods.

Upstream's control plane is four processes; ours is one. With Pods upstream's figures are of the API server and its store; ours have
the scheduler and the controllers in them all the same.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from bench.bench import Bench, namespaces, pods, token_of
from bench.connection import send_all
from bench.row import Measured, Row
from bench.server import OwnServer, pss

#: Seconds after the last request when memory is read.
REST = 3
_known: dict[str, OwnServer] = {}


def _with_pods(bench: Bench, count: int) -> OwnServer:
    """A folder with so many Pods, filled once, its server stopped."""
    name = f"pods-{count}"
    if name not in _known:
        server = _known[name] = bench.fresh(name)
        server.start()
        if count:
            asyncio.run(_fill(server, count))
        server.stop()
        server.start()  # the first start makes keys and bytecode
        server.stop()
    return _known[name]


async def _fill(server: OwnServer, count: int) -> None:
    token = await token_of(server)
    await namespaces(server.url, token)
    await send_all(server.url, token, pods(count))


def _start(bench: Bench, count: int) -> Measured:
    """The median of three starts."""
    server, found = _with_pods(bench, count), []
    for _ in range(3):
        server.start()
        found.append(server.start_seconds)
        server.stop()
    return Measured(sorted(found)[1], None, ", ".join(f"{seconds:.2f} s" for seconds in found))


def _memory(bench: Bench, count: int) -> Measured:
    """After the start, a GET and a little rest."""
    server = _with_pods(bench, count)
    server.start()
    time.sleep(REST)
    found = pss(server.pid)
    server.stop()
    return Measured(found)


def _row(name: str, workload: str, sort: str, count: int, upstream: float, ratio: float) -> Row:
    measure = partial(_memory if sort == "memory" else _start, count=count)
    return Row(name, workload, sort, upstream, ratio, measure, own=True)  # type: ignore[arg-type]


EMPTY = [
    _row("start-empty", "start to ready, empty", "time", 0, 2.7, 3),
    _row("memory-idle", "memory of the control plane, idle", "memory", 0, 502, 5.02),
]
ROWS = [
    _row("memory-5000", "memory with 5,000 Pods", "memory", 5000, 630, 4),
    _row("start-30000", "start to ready, 30,000 Pods", "time", 30_000, 4.3, 3),
    _row("memory-30000", "memory with 30,000 Pods", "memory", 30_000, 1940, 4),
]
