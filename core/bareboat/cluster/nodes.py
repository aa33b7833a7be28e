"""The nodes of a cluster on this machine: their hosts and agent processes, one by one.

A node is an agent process, in a network namespace of its own if the cluster has several; fake nodes share a process. Stopping a node
ends its agent only: containers go on, as on a machine whose agent died. Removing one removes everything of it, its Node included.
Every change is in the state file before and after it is made, so that ``down`` finds what there is.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bareboat.client.client import Client
from bareboat.client.kubeconfig import load as load_kubeconfig
from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.hosts import Hosts
from bareboat.cluster.layout import Layout
from bareboat.cluster.processes import start, stop
from bareboat.cluster.state import ClusterState, NodeState
from bareboat.models import core_v1
from bareboat.models.meta import get_condition
from bareboat.models.scheme import Scheme
from bareboat.models.status import ApiError, NotFound

READY_SECONDS = 60


class Nodes:
    """Over a loaded state, which it changes and saves."""

    def __init__(self, layout: Layout, state: ClusterState) -> None:
        self.layout = layout
        self.state = state
        self.hosts = Hosts(layout, state.network)

    def named(self, names: Sequence[str]) -> list[NodeState]:
        """Raises ClusterError for a name that is none."""
        known = {n.name: n for n in self.state.nodes}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ClusterError(f"no node {', '.join(unknown)}; there are: {', '.join(known) or 'none'}")
        return [known[name] for name in dict.fromkeys(names)]

    def plan(self, name: str = "") -> NodeState:
        """A further node, in the state but on nothing yet. Raises ClusterError."""
        taken = {n.name for n in self.state.nodes}
        name = name or next(f"n{i}" for i in range(1, len(taken) + 2) if f"n{i}" not in taken)
        if name in taken:
            raise ClusterError(f"there is a node {name} already")
        node = NodeState(name=name)
        if self.state.separate:
            node = NodeState(
                name=name, netns=self.hosts.netns(name), address=self.hosts.free_address({n.address for n in self.state.nodes})
            )
        self.state.nodes.append(node)
        return node

    def growable(self) -> None:
        """Raises ClusterError where there is no room for a second node."""
        if not self.state.separate and not self.state.fake:
            raise ClusterError("the node of this cluster is the machine itself: `bareboat down` first, then `bareboat up --nodes N`")

    async def start(self, nodes: Sequence[NodeState]) -> None:
        """Those that do not run, fake ones in one process."""
        waiting = [n for n in nodes if not n.alive]
        for node in nodes:
            node.stopped = False
        if not waiting:
            return
        if self.state.separate:
            await asyncio.to_thread(self.hosts.create, [(n.name, n.address) for n in waiting])
        states.save(self.layout, self.state)  # before anything starts, so that `down` sweeps what did
        groups = [waiting] if self.state.fake else [[node] for node in waiting]
        await asyncio.gather(*(self._start_agent(group) for group in groups))
        states.save(self.layout, self.state)

    async def _start_agent(self, nodes: Sequence[NodeState]) -> None:
        first = nodes[0]
        arguments = ["agent", "--data-dir", str(self.layout.data_dir), "--config", str(self.layout.cluster_file)]
        for node in nodes:
            arguments += ["--node", node.name]
        if first.address:
            arguments += ["--node-address", first.address]
        log = self.layout.logs / ("agents.log" if self.state.fake else f"{first.name}.log")
        process, _ = await start([*arguments, *self.state.logging], log, netns=first.netns)
        for node in nodes:
            node.process = process

    async def stop(self, nodes: Sequence[NodeState]) -> None:
        """Their agents. Nodes that share a process with others leave it; the others come back in a new one."""
        processes = {n.process.pid: n.process for n in nodes if n.process is not None and n.alive}
        for node in nodes:
            node.stopped = True
        others = [n for n in self.state.nodes if n not in nodes and n.process is not None and n.process.pid in processes]
        states.save(self.layout, self.state)  # before it ends, so that nobody starts it again
        await asyncio.gather(*(stop(p) for p in processes.values()))
        await self.start(others)

    async def remove(self, node: NodeState) -> None:
        """Agent, containers, rules, host, data, and the Node. Raises ClusterError if it is the last one."""
        if len(self.state.nodes) == 1:
            raise ClusterError(f"{node.name} is the only node: `bareboat down` takes the cluster down")
        await self.stop([node])
        if not self.state.fake:
            await sweep(self.layout, node)
        await self._forget(node)
        if self.state.separate:
            await asyncio.to_thread(self.hosts.remove_node, node.name, node.address)
        self.state.nodes.remove(node)
        states.save(self.layout, self.state)
        await asyncio.to_thread(shutil.rmtree, self.layout.node(node.name), ignore_errors=True)

    async def _forget(self, node: NodeState) -> None:
        async with Administrator(self.layout) as client:
            try:
                await client.delete(core_v1.Node, node.name)
            except NotFound:
                return
            except ApiError as error:
                raise ClusterError(f"the Node {node.name} cannot be deleted: {error}") from error

    async def ready(self, nodes: Sequence[NodeState]) -> None:
        """Until all of them are Ready; then this machine has routes to their pods. Raises ClusterError after a minute."""
        waiting = {n.name for n in nodes}
        if not waiting:
            return
        async with Administrator(self.layout) as client:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    async for event in client.watch(core_v1.Node, send_initial=True):
                        if event.object is not None and ready(event.object):
                            waiting.discard(event.object.metadata.name)
                        if not waiting:
                            break
            except TimeoutError:
                names = ", ".join(sorted(waiting))
                raise ClusterError(f"not Ready after {READY_SECONDS} s: {names}; see {self.layout.logs}") from None
            if self.state.separate:
                found = (await client.list(core_v1.Node)).items
                addresses = {n.name: n.address for n in self.state.nodes}
                routes = {n.spec.podCIDR: addresses[n.metadata.name] for n in found if n.spec.podCIDR and n.metadata.name in addresses}
                await asyncio.to_thread(self.hosts.route, routes)

    async def seen(self) -> dict[str, core_v1.Node]:
        """What the API has, by name; empty while the server does not answer."""
        if self.state.server is None or not self.state.server.alive:
            return {}
        async with Administrator(self.layout) as client:
            try:
                return {n.metadata.name: n for n in (await client.list(core_v1.Node)).items}
            except ApiError:
                return {}


class Administrator:
    """A client with the administrator's certificate, for as long as the block lasts."""

    def __init__(self, layout: Layout) -> None:
        if not layout.kubeconfig.exists():
            raise ClusterError(f"no cluster was started from {layout.data_dir}: start one with `bareboat up`")
        self.transport = load_kubeconfig(layout.kubeconfig)

    async def __aenter__(self) -> Client:
        return Client(self.transport, Scheme.builtin())

    async def __aexit__(self, *_: Any) -> None:
        await self.transport.close()


def loaded(layout: Layout) -> Nodes:
    """Of a cluster that was started. Raises ClusterError."""
    state = states.load(layout)
    if state is None:
        raise ClusterError(f"no cluster was started from {layout.data_dir}: start one with `bareboat up`")
    return Nodes(layout, state)


def ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"


async def sweep(layout: Layout, node: NodeState) -> None:
    """Remove what the node's drivers have on the machine, in the node's network namespace if there still is one."""
    arguments = ["agent", "--data-dir", str(layout.data_dir), "--config", str(layout.cluster_file), "--node", node.name, "--teardown"]
    netns = node.netns if node.netns and Path(f"/run/netns/{node.netns}").exists() else ""
    process, _ = await start(arguments, layout.logs / f"{node.name}.log", netns=netns)
    await stop(process, grace=30.0)
