"""The scheduler and the controllers of a whole server, over HTTP: Pods placed per second, Pods made of one Deployment."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import uvloop

from bench import objects
from bench.bench import Bench, namespaces, token_of
from bench.connection import Connection, send_all
from bench.row import Measured, Row
from bench.server import ROOT

PODS = "/api/v1/namespaces/bench/pods"


def _new(kind: str, count: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(count):
        if kind == "nodes":
            yield "POST", "/api/v1/nodes", objects.body(objects.node(f"node-{number}"))
        else:
            yield "POST", PODS, objects.body(objects.small_pod(f"pod-{number}"))


async def _bound(url: str, token: str, nodes: int, count: int) -> float:
    """Seconds from the first create to the last binding."""
    await namespaces(url, token)
    await send_all(url, token, _new("nodes", nodes))
    await asyncio.sleep(1)
    began = time.monotonic()
    await send_all(url, token, _new("pods", count))
    async with Connection(url, token) as connection, asyncio.timeout(120):
        while await _left(connection):
            await asyncio.sleep(0.1)
    return time.monotonic() - began


async def _left(connection: Connection) -> bool:
    waiting = await connection.json("GET", f"{PODS}?fieldSelector=spec.nodeName%3D&limit=1")
    return bool(waiting["items"])


def _live(bench: Bench, nodes: int, count: int) -> Measured:
    server = bench.fresh(f"scheduler-{nodes}")
    server.start()
    try:
        seconds = uvloop.run(_run(server, nodes, count))
    finally:
        server.stop()
    return Measured(count / seconds, None, f"{seconds:.2f} s, creates over HTTP included")


async def _run(server: object, nodes: int, count: int) -> float:
    token = await token_of(server)  # type: ignore[arg-type]
    return await _bound(server.url, token, nodes, count)  # type: ignore[attr-defined]


def _queued(bench: Bench, nodes: int, count: int) -> Measured:
    """In one process over an API in memory: the Pods wait when the scheduler starts."""
    command = [sys.executable, str(ROOT / "bench/scheduler.py"), "--nodes", str(nodes), "--pods", str(count), "--rules", "plain", "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Measured(found["bound"] / found["seconds"], None, "in process, over an API in memory")


def _deployment(bench: Bench, replicas: int) -> Measured:
    server = bench.fresh("deployment")
    server.start()
    try:
        seconds = uvloop.run(_replicas(server, replicas))
    finally:
        server.stop()
    return Measured(seconds)


async def _replicas(server: object, replicas: int) -> float:
    token = await token_of(server)  # type: ignore[arg-type]
    await namespaces(server.url, token)  # type: ignore[attr-defined]
    async with Connection(server.url, token) as connection, asyncio.timeout(120):  # type: ignore[attr-defined]
        began = time.monotonic()
        await connection.json("POST", "/apis/apps/v1/namespaces/bench/deployments", objects.deployment("web", replicas))
        while True:
            page = await connection.json("GET", f"{PODS}?limit=1")
            if len(page["items"]) + page["metadata"].get("remainingItemCount", 0) >= replicas:
                return time.monotonic() - began
            await asyncio.sleep(0.02)


def _scheduler(name: str, how: str, nodes: int, upstream: float) -> Row:
    measure = partial(_live if how == "live" else _queued, nodes=nodes, count=3000)
    return Row(name, f"scheduler, 3,000 pods, {nodes:,} nodes, {how}", "rate", upstream, 6, measure, own=True)


ROWS = [
    _scheduler("schedule-1000", "live", 1000, 310),
    _scheduler("schedule-5000", "live", 5000, 275),
    _scheduler("schedule-queued-1000", "queued", 1000, 427),
    _scheduler("schedule-queued-5000", "queued", 5000, 420),
    Row("deployment", "Deployment of 2,000 replicas → Pods", "time", 2.55, 5, partial(_deployment, replicas=2000), own=True),
]
