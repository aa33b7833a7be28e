#!/usr/bin/env python3
"""What a world costs: seconds to be ready and memory (PSS), of the first, of one more, and of twenty, each with a node and a pod.

.venv/bin/python bench/worlds.py [N]
"""

import asyncio
import re
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def megabytes() -> float:
    return int(re.search(r"^Pss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.M)[1]) / 1024


async def measure(number: int) -> None:
    began, before = time.perf_counter(), megabytes()
    from bareboat.testing.world import World

    print(f"import    {time.perf_counter() - began:6.3f} s  {megabytes() - before:6.1f} MB")
    async with AsyncExitStack() as stack:
        worlds, empty = [], megabytes()
        for count in range(1, number + 1):
            began = time.perf_counter()
            worlds.append(await stack.enter_async_context(World()))
            if count in (1, 2, number):
                print(f"world {count:3} {time.perf_counter() - began:6.3f} s  {megabytes() - empty:6.1f} MB in all")
        began = time.perf_counter()
        for world in worlds:
            await world.apply(POD)
        await asyncio.gather(*(world.until("pod/p is ready") for world in worlds))
        print(f"a pod in each of {number}: {time.perf_counter() - began:.3f} s; the process has {megabytes():.0f} MB")


if __name__ == "__main__":
    from bareboat.testing.virtual_time import run

    run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
