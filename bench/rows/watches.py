"""Many watchers of one Pod's namespace: how many events a second they get, and how long after the answer to the writer.

The clients run beside the server on the same cores, so what is measured is both.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial

import uvloop

from bench import objects
from bench.bench import Bench
from bench.connection import Connection, Refused
from bench.row import Measured, Row
from bench.server import cpu_seconds
from bench.watching import Watchers

PODS = "/api/v1/namespaces/bench-watch/pods"
#: Deliveries before the writer's own answer count as this late.
AT_ONCE = 0.0001
MERGE = "application/merge-patch+json"


async def _watched(connection: Connection, name: str) -> str:
    """A Pod to change; the path to watch from before the first change."""
    tree = objects.pod(name)
    del tree["metadata"]["namespace"]
    try:
        made = json.loads(await connection.request("POST", PODS, objects.body(tree)))
    except Refused:
        made = json.loads(await connection.request("GET", f"{PODS}/{name}"))
    return f"{PODS}?watch=1&resourceVersion={made['metadata']['resourceVersion']}"


def _change(number: int) -> bytes:
    return json.dumps({"metadata": {"annotations": {"example.com/touched": f"n{number}-{time.time_ns()}"}}}).encode()


async def _updates(connection: Connection, name: str, count: int, pause: float) -> list[float]:
    """So many changes of one Pod; when each was acknowledged."""
    acknowledged, began = [], time.perf_counter()
    for number in range(count):
        await connection.request("PATCH", f"{PODS}/{name}", _change(number), MERGE)
        acknowledged.append(time.perf_counter())
        await asyncio.sleep(max(0.0, began + (number + 1) * pause - acknowledged[-1]) if pause else 0)
    return acknowledged


async def _fan_out(bench: Bench, count: int, changes: int) -> Measured:
    async with Connection(bench.url, bench.token) as connection:
        watchers = Watchers(bench.url, bench.token, await _watched(connection, "fast"), timing=False)
        await watchers.open(count)
        began, before = time.perf_counter(), _cpu(bench)
        await _updates(connection, "fast", changes, 0)
        await watchers.until(changes, 120)
        seconds, cpu = time.perf_counter() - began, _cpu(bench) - before
        closed = sum(w.closed for w in watchers.all)
        watchers.close()
    if closed:
        raise Refused(f"{closed} of {count} watchers were closed")
    return Measured(watchers.arrived / seconds, cpu / watchers.arrived or None, f"{watchers.arrived} events, none closed")


def _cpu(bench: Bench) -> float:
    """Seconds of CPU that an own server has used so far. A row's figure is per event, what the writes cost included."""
    return cpu_seconds(bench.own.pid) if bench.own else 0.0


async def _latency(bench: Bench, count: int) -> tuple[list[float], float | None]:
    """From the answer to the writer to each watcher's event, in order of size; 20 changes a second for five seconds. And the CPU."""
    async with Connection(bench.url, bench.token) as connection:
        watchers = Watchers(bench.url, bench.token, await _watched(connection, "steady"), timing=True)
        await watchers.open(count)
        before = _cpu(bench)
        acknowledged = await _updates(connection, "steady", 100, 0.05)
        await watchers.until(100, 30)
        cpu = _cpu(bench) - before
        watchers.close()
    late = sorted(max(AT_ONCE, at - answer) for w in watchers.all for at, answer in zip(w.arrivals, acknowledged, strict=False))
    return late, cpu / len(late) or None


def _fan(bench: Bench, count: int, changes: int) -> Measured:
    bench.ready()
    return uvloop.run(_fan_out(bench, count, changes))


def _late(bench: Bench, count: int, quantile: float) -> Measured:
    bench.ready()
    found, cpu = uvloop.run(_latency(bench, count))
    return Measured(found[min(len(found) - 1, int(len(found) * quantile))], cpu, f"{len(found)} deliveries")


ROWS = [
    Row("watch-500", "500 watchers, 300 updates: events", "rate", 48_700, 2, partial(_fan, count=500, changes=300)),
    Row("watch-2000", "2,000 watchers, 100 updates: events", "rate", 48_700, 2, partial(_fan, count=2000, changes=100)),
    Row("watch-p50", "500 watchers, 20 updates/s: p50", "time", 0.0047, 1, partial(_late, count=500, quantile=0.5)),
    Row("watch-p99", "500 watchers, 20 updates/s: p99", "time", 0.015, 1, partial(_late, count=500, quantile=0.99)),
]
