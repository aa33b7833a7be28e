"""``bareboat down``: stop the processes, then remove what their drivers left on the machine, then the node hosts.

Containers outlive agents on purpose, so every node is swept by ``bareboat agent --teardown`` in its own network namespace:
the drivers list what they have (also what an earlier process started) and remove it. The data directory stays unless
``purge`` is asked for: the next ``up`` brings the same cluster back.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.hosts import Hosts
from bareboat.cluster.layout import Layout
from bareboat.cluster.nodes import sweep
from bareboat.cluster.processes import stop
from bareboat.cluster.up import Reporter


async def down(layout: Layout, report: Reporter, *, purge: bool = False) -> None:
    """Twice is fine, and so is ``purge`` afterwards. Raises ClusterError if nothing was ever started from this data directory."""
    state = states.load(layout)
    if state is not None:
        await _end(layout, state, report)
    elif layout.stopped_file.exists():
        with report.step("Nothing runs"):
            pass
    else:
        raise ClusterError(f"no cluster was started from {layout.data_dir}: give the --data-dir or --name that `up` had")
    if purge:
        with report.step("Data removed"):
            await asyncio.to_thread(shutil.rmtree, layout.data_dir)


async def _end(layout: Layout, state: states.ClusterState, report: Reporter) -> None:
    with report.step("Agents stopped"):
        await asyncio.gather(*(stop(p) for p in {n.process.pid: n.process for n in state.nodes if n.process}.values()))
    if not state.fake:
        with report.step("Containers, networks and rules removed"):
            await asyncio.gather(*(sweep(layout, node) for node in state.nodes))
    with report.step("Control plane stopped"):
        if state.server:
            await stop(state.server)
    if not state.fake and os.geteuid() == 0:
        await asyncio.to_thread(Hosts(layout).remove)
        _remove_runtime_dirs(layout, state.nodes)
    layout.state_file.replace(layout.stopped_file)


async def halt(layout: Layout) -> None:
    """End the processes and leave containers, networks and rules alone: the next ``up`` finds them."""
    state = states.load(layout)
    if state is None:
        return
    await asyncio.gather(*(stop(p) for p in {n.process.pid: n.process for n in state.nodes if n.process}.values()))
    if state.server:
        await stop(state.server)


def _remove_runtime_dirs(layout: Layout, nodes: list[Any]) -> None:
    for instance in [layout.instance(), *(layout.instance(n.name) for n in nodes)]:
        shutil.rmtree(Path("/run/bareboat") / instance, ignore_errors=True)
