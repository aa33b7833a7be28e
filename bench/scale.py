"""How each cost grows with the cluster: the same measurements at sizes ten times apart, and the exponent between them.

    python bench/scale.py [--sizes 50:1000 500:10000 5000:100000] [--output table|json] [--plot scale.svg] [--data DIR]

A size is NODES:PODS. Nodes are API objects with a Lease each, which is renewed every ten seconds as agents do; pods are on them.
The server is ours, in the default configuration. An exponent of 1 is proportional growth, 0 none.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import objects
from bench.bench import PODS, namespaces, token_of
from bench.connection import Connection, send_all
from bench.server import OwnServer, cpu_seconds, pss

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = "application/merge-patch+json"
#: Seconds over which the load of heartbeats is read.
WATCHED = 20
#: Connections that heartbeats come over.
SPEAKERS = 50
Found = dict[str, float]


def _nodes(nodes: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(nodes):
        yield "POST", LEASES, objects.body(_beat(number))
        yield "POST", "/api/v1/nodes", objects.body(objects.node(f"node-{number}"))


def _pods(nodes: int, pods: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(pods):
        yield "POST", PODS, objects.body(objects.pod(f"pod-{number}", number % nodes))


def _beat(number: int) -> dict[str, object]:
    tree = objects.lease(f"node-{number}")
    tree["spec"].update(_renewed())
    return tree


def _renewed() -> dict[str, str]:
    return {"renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}


async def _heartbeats(url: str, token: str, nodes: int) -> None:
    """For ever, spread evenly over ten seconds; each connection speaks for some nodes."""
    began = time.monotonic()

    async def beat(first: int) -> None:
        async with Connection(url, token) as connection:
            for turn in itertools.count():
                for number in range(first, nodes, SPEAKERS):
                    await asyncio.sleep(max(0.0, began + 10 * (turn + number / nodes) - time.monotonic()))
                    body = objects.body({"spec": _renewed()})
                    await connection.request("PATCH", f"{LEASES}/node-{number}", body, MERGE)

    async with asyncio.TaskGroup() as group:
        for first in range(min(SPEAKERS, nodes)):
            group.create_task(beat(first))


async def _timed(connection: Connection, path: str, times: int) -> float:
    """The median, in milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await connection.request("GET", path)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


async def _delivered(url: str, token: str) -> float:
    """Median milliseconds from a change's answer to its event at one watcher of all pods."""
    found = []
    async with Connection(url, token) as writer, Connection(url, token) as watcher:
        listed = await writer.json("GET", f"{PODS}?limit=1")
        watcher.start("GET", f"{PODS}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}")
        await watcher.until(b"\r\n\r\n")
        for number in range(20):
            mark = f"m{number}-{time.time_ns()}"
            body = json.dumps({"metadata": {"annotations": {"example.com/mark": mark}}}).encode()
            began = time.perf_counter()
            seen = asyncio.ensure_future(watcher.until(mark.encode()))
            await writer.request("PATCH", f"{PODS}/pod-{number}", body, MERGE)
            await seen
            found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


async def filled(server: OwnServer, nodes: int, pods: int) -> None:
    """Nodes are alive meanwhile, or the controllers would have all pods leave them."""
    token = await token_of(server)
    await namespaces(server.url, token)
    await send_all(server.url, token, _nodes(nodes))
    beating = asyncio.ensure_future(_heartbeats(server.url, token, nodes))
    await send_all(server.url, token, _pods(nodes, pods))
    beating.cancel()


async def used(server: OwnServer, token: str, nodes: int) -> Found:
    """What heartbeats, reads and a watch of a filled cluster cost."""
    beating = asyncio.ensure_future(_heartbeats(server.url, token, nodes))
    await asyncio.sleep(12)
    before, began = cpu_seconds(server.pid), time.monotonic()
    await asyncio.sleep(WATCHED)
    load = (cpu_seconds(server.pid) - before) / (time.monotonic() - began)
    async with Connection(server.url, token) as connection:
        found = {
            "memory, MB": pss(server.pid),
            "heartbeats, % of a core": load * 100,
            "GET of a pod, ms": await _timed(connection, f"{PODS}/pod-7", 50),
            "LIST of all pods, ms": await _timed(connection, PODS, 3),
            "LIST of a node's pods, ms": await _timed(connection, f"{PODS}?fieldSelector=spec.nodeName%3Dnode-7", 20),
            "page of 500, ms": await _timed(connection, f"{PODS}?limit=500", 5),
        }
        found["change → watcher, ms"] = await _delivered(server.url, token)
        found["loop late, at worst, ms"] = await _late(connection)
    beating.cancel()
    return found


async def _late(connection: Connection) -> float:
    """Of the last minute, which is all of the above; it has whatever else the machine does in it."""
    metrics = (await connection.request("GET", "/metrics")).decode()
    [line] = [line for line in metrics.splitlines() if line.startswith("bareboat_loop_lag_worst_seconds ")]
    return float(line.split()[1]) * 1000


def measure(folder: Path, nodes: int, pods: int) -> Found:
    server = OwnServer(folder / f"{nodes}-{pods}")
    took = server.data / "filled"
    try:
        if not took.exists():
            server.start()
            began = time.monotonic()
            asyncio.run(filled(server, nodes, pods))
            server.stop()
            took.write_text(str(time.monotonic() - began))
        server.start()
        token = asyncio.run(token_of(server))
        found = {"filling, s": float(took.read_text()), "start to ready, s": server.start_seconds}
        found |= asyncio.run(used(server, token, nodes))
    finally:
        server.stop()
    return found


def exponents(sizes: list[tuple[int, int]], found: list[Found]) -> Found:
    """Between the smallest and the largest."""
    growth = math.log(sizes[-1][1] / sizes[0][1]) if len(sizes) > 1 else 1.0
    return {name: math.log(found[-1][name] / found[0][name]) / growth if found[0][name] > 0 < found[-1][name] else 0.0 for name in found[0]}


def plot(sizes: list[tuple[int, int]], found: list[Found]) -> str:
    """Every cost relative to the smallest size, both axes logarithmic, with its exponent."""
    wide, high, left = 480, 320, 60
    most = max(max(f[name] / found[0][name] for f in found) for name in found[0])
    shapes = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide + 320}" height="{high + 60}" font-family="sans-serif" font-size="12">']
    shapes.append('<rect width="100%" height="100%" fill="white"/>')
    for number, name in enumerate(found[0]):
        color = f"hsl({number * 360 // len(found[0])},60%,40%)"
        points = []
        for (_, pods), f in zip(sizes, found, strict=True):
            x = left + wide * math.log(pods / sizes[0][1]) / max(math.log(sizes[-1][1] / sizes[0][1]), 0.01)
            y = 20 + high * (1 - math.log(max(f[name] / found[0][name], 0.1)) / max(math.log(most), 0.01))
            points.append(f"{x:.0f},{min(y, high + 40):.0f}")
        shapes.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        growth = f"{exponents(sizes, found)[name]:.2f}"
        shapes.append(f'<text x="{left + wide + 20}" y="{30 + 18 * number}" fill="{color}">{growth} &#160; {name}</text>')
    for number, (nodes, pods) in enumerate(sizes):
        x = left + wide * math.log(pods / sizes[0][1]) / max(math.log(sizes[-1][1] / sizes[0][1]), 0.01)
        anchor = "start" if number == 0 else "middle"
        shapes.append(f'<text x="{x:.0f}" y="{high + 45}" text-anchor="{anchor}">{nodes:,} nodes, {pods:,} pods</text>')
    for power in range(int(math.log10(most)) + 1):
        y = 20 + high * (1 - power * math.log(10) / max(math.log(most), 0.01))
        shapes.append(f'<line x1="{left}" x2="{left + wide}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ccc"/>')
        shapes.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{10**power:,}×</text>')
    return "\n".join([*shapes, "</svg>"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["50:1000", "500:10000", "5000:100000"], metavar="NODES:PODS")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the filled clusters there, or take those that are (default: none)")
    chosen = parser.parse_args()
    sizes = [(int(n), int(p)) for n, _, p in (size.partition(":") for size in chosen.sizes)]
    with tempfile.TemporaryDirectory(prefix="bareboat-scale-") as folder:
        found = [measure(chosen.data or Path(folder), *size) for size in sizes]
    growth = exponents(sizes, found)
    if chosen.output == "json":
        print(json.dumps({"sizes": sizes, "found": found, "exponents": growth}, indent=2))
    else:
        print(f"{'nodes, pods':28}" + "".join(f"{f'{n:,}, {p:,}':>18}" for n, p in sizes) + "   exponent")
        for name in growth:
            print(f"{name:28}" + "".join(f"{f[name]:18,.4g}" for f in found) + f"   {growth[name]:8.2f}")
    if chosen.plot:
        chosen.plot.write_text(plot(sizes, found))


if __name__ == "__main__":
    main()
