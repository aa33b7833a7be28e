"""From create to Running: how long a pod takes on each runtime, one alone and many at once, beside ``docker run`` in the same run.

What comes in: nothing but this machine (root, dockerd, busybox). What goes out: one line per case with p50 and p99 in milliseconds,
as a client of the API server sees them in a watch. Each runtime gets a cluster, and docker a daemon, in a temporary directory.

    python bench/pods.py [--pods 50] [--alone 10] [--runtimes process docker]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.models import core_v1, meta_v1
from bareboat.models.scheme import Scheme
from bareboat_cri_docker.testing import Dockerd

IMAGE = "bench/busybox:1"
BAREBOAT = [sys.executable, "-m", "bareboat"]


def report(case: str, seconds: list[float], total: float) -> None:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{case:<28} n={len(ordered):<3} p50 {p50 * 1000:7.0f} ms   p99 {p99 * 1000:7.0f} ms   all in {total:6.2f} s", flush=True)


def pod(name: str, image: str) -> Any:
    container = core_v1.Container(name="c", image=image, command=["sleep", "100000"], imagePullPolicy="IfNotPresent")
    spec = core_v1.PodSpec(containers=[container], terminationGracePeriodSeconds=0)
    return core_v1.Pod(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=spec)


class Watched:
    """When each pod was first seen in a phase, and when it was gone."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.running: dict[str, float] = {}
        self.gone: set[str] = set()
        self.changed = asyncio.Event()
        self.following = asyncio.ensure_future(self.follow())
        self.following.add_done_callback(lambda _: self.changed.set())

    async def follow(self) -> None:
        revision = (await self.client.list(core_v1.Pod, "default")).resource_version
        while True:
            async for event in self.client.watch(core_v1.Pod, "default", resource_version=revision):
                revision = event.resource_version or revision
                if event.object is not None:
                    self._see(event.type, event.object)

    def _see(self, kind: str, seen: Any) -> None:
        if kind == "DELETED":
            self.gone.add(seen.metadata.name)
        elif seen.status.phase == "Running":
            self.running.setdefault(seen.metadata.name, time.monotonic())
        self.changed.set()

    async def until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                if self.following.done():
                    raise RuntimeError("the watch has ended") from self.following.exception()
                self.changed.clear()
                await self.changed.wait()


async def measure(path: Path, label: str, image: str, alone: int, many: int) -> None:
    transport = kubeconfig.load(path)
    client = Client(transport, Scheme.builtin())
    watched = Watched(client)
    try:
        await batch(watched, [f"warm-{n}" for n in range(2)], image)
        singles: list[float] = []
        started = time.monotonic()
        for number in range(alone):
            singles += await batch(watched, [f"alone-{number}"], image)
        report(f"{label}, one pod at a time", singles, time.monotonic() - started)
        started = time.monotonic()
        together = await batch(watched, [f"many-{n}" for n in range(many)], image)
        report(f"{label}, {many} pods at once", together, max(together))
        print(f"{'':<28} create, wait and delete of them: {time.monotonic() - started:.2f} s", flush=True)
    finally:
        watched.following.cancel()
        await asyncio.gather(watched.following, return_exceptions=True)
        await transport.close()


async def batch(watched: Watched, names: list[str], image: str) -> list[float]:
    """Create all at once, wait until all run, delete them, wait until they are gone."""
    created: dict[str, float] = {}

    async def create(name: str) -> None:
        created[name] = time.monotonic()
        await watched.client.create(pod(name, image))

    await gathered(create, names)
    await watched.until(lambda: watched.running.keys() >= set(names))
    await gathered(lambda name: watched.client.delete(core_v1.Pod, name, "default", grace_seconds=0), names)
    await watched.until(lambda: watched.gone >= set(names))
    return [watched.running[name] - created[name] for name in names]


async def gathered(call: Callable[[str], Awaitable[Any]], names: list[str]) -> None:
    await asyncio.gather(*(call(name) for name in names))


def cluster(directory: Path, label: str, runtime: dict[str, Any], image: str, alone: int, many: int) -> None:
    directory.mkdir()
    (directory / "cluster.yaml").write_text(yaml.safe_dump({"kind": "Cluster", "name": "bench", "node": {"runtimes": [runtime]}}))
    run(*BAREBOAT, "up", "--port", "0", "--data-dir", str(directory), "--config", str(directory / "cluster.yaml"))
    try:
        asyncio.run(measure(directory / "kubeconfig", label, image, alone, many))
    finally:
        run(*BAREBOAT, "down", "--purge", "--data-dir", str(directory))


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def docker_run(dockerd: Dockerd, alone: int, many: int) -> None:
    """What the ``docker`` command takes for one container each; a pod is two."""

    def one(name: str) -> float:
        started = time.monotonic()
        run("docker", "-H", f"unix://{dockerd.socket}", "run", "-d", "--network=none", "--name", name, IMAGE, "sleep", "100000")
        return time.monotonic() - started

    def remove() -> None:
        for entry in dockerd.containers():
            dockerd.docker.api.remove_container(entry["Id"], force=True)

    started = time.monotonic()
    report("docker run, one at a time", [one(f"alone-{n}") for n in range(alone)], time.monotonic() - started)
    remove()
    started = time.monotonic()

    def since_start(name: str) -> float:
        one(name)
        return time.monotonic() - started

    with ThreadPoolExecutor(many) as pool:
        together = list(pool.map(since_start, [f"many-{n}" for n in range(many)]))
    report(f"docker run, {many} at once", together, max(together))
    remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=50, help="pods at once")
    parser.add_argument("--alone", type=int, default=10, help="pods one after the other")
    parser.add_argument("--runtimes", nargs="+", choices=["process", "docker"], default=["process", "docker"])
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bareboat-bench-") as name:
        directory = Path(name)
        if "process" in wanted.runtimes:
            cluster(directory / "process", "process", {"use": "process"}, "host", wanted.alone, wanted.pods)
        if "docker" in wanted.runtimes:
            (directory / "daemon").mkdir()
            dockerd = Dockerd(directory / "daemon")
            dockerd.start()
            try:
                dockerd.build(IMAGE)
                docker_run(dockerd, wanted.alone, wanted.pods)
                use = {"use": "docker", "options": {"socket": dockerd.socket}}
                cluster(directory / "docker", "docker", use, IMAGE, wanted.alone, wanted.pods)
            finally:
                dockerd.remove()


if __name__ == "__main__":
    main()
