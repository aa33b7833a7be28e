"""A whole cluster of one node with the process runtime: memory of all its processes, and how soon pods run. Needs root."""

from __future__ import annotations

import asyncio
import subprocess
import time
from functools import cache, partial
from pathlib import Path

from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.models import core_v1
from bareboat.models.scheme import Scheme
from bench.bench import Bench
from bench.cycles import BAREBOAT, pod, until
from bench.row import Measured, Row
from bench.server import descendants, pss

PODS = 20


def _processes(data: Path) -> set[int]:
    """Everything of the cluster: who has its folder on the command line, and what descends from those (monitors, containers)."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    roots = [int(line.split()[0]) for line in listed.splitlines() if str(data) in line]
    return {pid for root in roots if Path(f"/proc/{root}").exists() for pid in descendants(root)}


def _memory(data: Path) -> float:
    return sum(pss(pid) for pid in _processes(data) if Path(f"/proc/{pid}").exists())


async def _running(data: Path, names: list[str]) -> float:
    """Create them and wait until all run, in seconds."""
    transport = kubeconfig.load(data / "kubeconfig")
    client = Client(transport, Scheme.builtin())
    began = time.monotonic()
    await asyncio.gather(*(client.create(pod(name)) for name in names))
    async with asyncio.timeout(120):
        while sum(p.status.phase == "Running" for p in (await client.list(core_v1.Pod, "default")).items if p.metadata.name in names) < len(
            names
        ):
            await asyncio.sleep(0.01)
    seconds = time.monotonic() - began
    await transport.close()
    return seconds


async def _clear(data: Path) -> None:
    transport = kubeconfig.load(data / "kubeconfig")
    client = Client(transport, Scheme.builtin())
    for found in (await client.list(core_v1.Pod, "default")).items:
        await client.delete(core_v1.Pod, found.metadata.name, "default")
    await until(client, lambda items: not items)
    await transport.close()


@cache
def _whole(folder: Path) -> dict[str, float]:
    """Up twice, the second time over what the first left: an installed cluster's start is what is timed."""
    data = folder / "whole"
    up = [*BAREBOAT, "up", "--port", "0", "--data-dir", str(data)]
    down = [*BAREBOAT, "down", "--data-dir", str(data)]
    subprocess.run(up, check=True, capture_output=True)
    subprocess.run(down, check=True, capture_output=True)
    began = time.monotonic()
    try:
        subprocess.run(up, check=True, capture_output=True)
        asyncio.run(_running(data, ["first"]))
        found = {"first": time.monotonic() - began}
        found["warm"] = sorted(asyncio.run(_running(data, [f"warm-{number}"])) for number in range(5))[2]
        asyncio.run(_clear(data))
        time.sleep(3)
        found["rest"] = _memory(data)
        asyncio.run(_running(data, [f"p{number}" for number in range(PODS)]))
        time.sleep(3)
        found["pod"] = (_memory(data) - found["rest"]) / PODS
    finally:
        subprocess.run([*down, "--purge"], check=True, capture_output=True)
    return found


def _of(bench: Bench, what: str) -> Measured:
    return Measured(_whole(bench.folder)[what])


def _row(name: str, workload: str, sort: str, what: str, upstream: float, ratio: float, at_most: float | None = None) -> Row:
    measure = partial(_of, what=what)
    return Row(name, workload, sort, upstream, ratio, measure, own=True, root=True, at_most=at_most)  # type: ignore[arg-type]


ROWS = [
    _row("cluster-memory", "whole one-node cluster at rest: memory", "memory", "rest", 697, 4),
    _row("cluster-pod-memory", "… and of each pod", "memory", "pod", 18, 4.5, 4.0),
    _row("first-pod", "process start → first pod Running", "time", "first", 9.6, 5),
    _row("warm-pod", "create → Running on a warm node", "time", "warm", 0.77, 2, 0.4),
]
