"""Which callbacks hold the server's loop too long while rows run: no slice over five milliseconds is the goal.

    python bench/slices.py [--row create-pod-64 watch-500 …] [--seconds 3] [--over 5] [--output table|json]
    python bench/slices.py --cluster 5000:100000      while a cluster of that size is filled, the server started again, and used

The server runs by ``bench/sliced.py``, on an instrumented loop that costs time, so rates are not to be compared. Milliseconds are of
CPU. ``filling`` is what happens before the first row: 5,000 Pods and 100 nodes are created.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import objects
from bench.bench import PODS, WRITES, Bench, token_of
from bench.connection import Connection, send_all
from bench.row import Row
from bench.rows import ROWS
from bench.scale import filled, used
from bench.server import OwnServer

USUAL = ["create-pod-64", "create-configmap-64", "get-pod-16", "list-1", "list-4", "list-pages", "list-label", "patch-", "apply", "watch-"]
Slice = dict[str, Any]


class SlicedServer(OwnServer):
    command: Sequence[str] = (str(Path(__file__).parent / "sliced.py"),)


class SlicedBench(Bench):
    def fresh(self, name: str) -> OwnServer:
        return SlicedServer(self.folder / name, controllers=self.controllers)


def measured(rows: list[Row], folder: Path, seconds: float) -> tuple[dict[str, list[Slice]], dict[str, Any]]:
    """The slices while each row ran, and what the server noted in all."""
    bench, notes = SlicedBench(folder, seconds), folder / "slices.json"
    os.environ["BENCH_SLICES"] = str(notes)
    ends = []
    try:
        bench.ready()
        ends.append(("filling", time.monotonic()))
        for row in rows:
            row.measure(bench)
            ends.append((row.name, time.monotonic()))
            print(row.name, file=sys.stderr, flush=True)
    finally:
        bench.close()
    told = json.loads(notes.read_text())
    return by_end(told["found"], ends), told


def grown(folder: Path, nodes: int, pods: int) -> tuple[dict[str, list[Slice]], dict[str, Any]]:
    """The slices while so large a cluster is filled, its server starts, and heartbeats, reads, watches and creates go on."""
    server, notes = SlicedServer(folder / "cluster"), folder / "slices.json"
    os.environ["BENCH_SLICES"] = str(notes)
    server.start()
    first_starts = time.monotonic()
    try:
        asyncio.run(filled(server, nodes, pods))
    finally:
        filling_ends = time.monotonic()
        server.stop()
    filling = json.loads(notes.read_text())
    server.start()
    ends = [("starting", time.monotonic())]
    try:
        token = asyncio.run(token_of(server))
        asyncio.run(_node_asks(server, token))
        ends.append(("first nodes ask", time.monotonic()))
        print(asyncio.run(used(server, token, nodes)), file=sys.stderr)
        ends.append(("heartbeats and reads", time.monotonic()))
        more = [("POST", f"{WRITES}/pods", _pod(number, nodes)) for number in range(min(pods, 5000))]
        asyncio.run(send_all(server.url, token, more))
        ends.append(("more pods", time.monotonic()))
    finally:
        server.stop()
    told = json.loads(notes.read_text())
    after_start = [one for one in filling["found"] if first_starts < one["at"] - one["ms"] / 1000 and one["at"] <= filling_ends]
    found = {"filling": after_start} | by_end(told["found"], ends)
    told["full"] = filling["full"] + told["full"]
    return found, told


async def _node_asks(server: OwnServer, token: str) -> None:
    """For pods of its own, several times at once."""

    async def ask(number: int) -> None:
        async with Connection(server.url, token, node=f"node-{number}") as connection:
            await connection.request("GET", f"{PODS}/pod-{number}")

    began = time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(8)))
    print(f"the first nodes waited {time.monotonic() - began:.2f} s", file=sys.stderr)


def _pod(number: int, nodes: int) -> bytes:
    tree = objects.pod(f"more-{number}", number % nodes)
    tree["metadata"]["namespace"] = "bench-writes"
    return objects.body(tree)


def by_end(slices: list[Slice], ends: list[tuple[str, float]]) -> dict[str, list[Slice]]:
    """Under the name of the part in which each was; what came after all is of the stopping."""
    found: dict[str, list[Slice]] = {name: [] for name, _ in ends}
    for one in slices:
        found.setdefault(next((name for name, end in ends if one["at"] <= end), "stopping"), []).append(one)
    return found


def show(found: dict[str, list[Slice]], told: dict[str, Any]) -> None:
    for name, slices in found.items():
        longest = max((s["ms"] for s in slices), default=0.0)
        print(f"{name:22} {len(slices):5} slices, longest {longest:6.1f} ms")
        groups: dict[tuple[str, str], list[Slice]] = {}
        for one in slices:
            collecting = one["gc"] > one["ms"] / 2
            groups.setdefault((one["who"], "garbage collection" if collecting else (one["doing"] or [""])[0]), []).append(one)
        for (who, doing), members in sorted(groups.items(), key=lambda g: -sum(s["ms"] for s in g[1]))[:6]:
            print(f"    {len(members):4} × up to {max(s['ms'] for s in members):6.1f} ms  {who}\n           {doing}")
    print(f"{told['turns']:,} callbacks")
    for generation, times in enumerate(told["collections"]):
        print(f"generation {generation}: {len(times)} collections, {sum(times):.0f} ms, longest {max(times, default=0.0):.1f} ms")
    for one in sorted(told["full"], key=lambda one: -one["ms"])[:5]:
        print(f"all collected: {one['ms']:.1f} ms, {one['collected']} objects, in {one['doing']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs="+", default=USUAL, metavar="NAME", help="rows whose name starts so")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--over", type=float, default=5, help="milliseconds from which a slice counts")
    parser.add_argument("--cluster", metavar="NODES:PODS", help="fill so large a cluster, in place of rows")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    chosen = parser.parse_args()
    rows = [row for row in ROWS if any(row.name.startswith(name) for name in chosen.row) and not row.own and not row.root]
    os.environ["BENCH_SLICES_OVER"] = str(chosen.over / 1000)
    with tempfile.TemporaryDirectory(prefix="bareboat-slices-") as folder:
        if chosen.cluster:
            nodes, _, pods = chosen.cluster.partition(":")
            found, told = grown(Path(folder), int(nodes), int(pods))
        else:
            found, told = measured(rows, Path(folder), chosen.seconds)
    if chosen.output == "json":
        print(json.dumps({**told, "found": found}, indent=2))
    else:
        show(found, told)


if __name__ == "__main__":
    main()
