"""``bareboat up``: from a cluster file to running processes, step by step, each step shown.

Order: check every plugin → node hosts (network namespaces) when there are several nodes → server process → one agent
process per node (all fake nodes in one) → every Node Ready. What a former ``up`` left running is kept: the command may
be repeated. Nothing is undone on failure; ``down`` does that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bareboat.client.client import Client
from bareboat.client.kubeconfig import load as load_kubeconfig
from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.choices import check
from bareboat.cluster.file.reading import Lines
from bareboat.cluster.file.shape import ClusterFile, Networking
from bareboat.cluster.hosts import Hosts
from bareboat.cluster.layout import Layout
from bareboat.cluster.networks import free_defaults
from bareboat.cluster.processes import start
from bareboat.cluster.state import ClusterState, NodeState
from bareboat.models import core_v1
from bareboat.models.meta import get_condition
from bareboat.models.scheme import Scheme
from bareboat.plugins.loader import Loader


class Reporter(Protocol):
    """Shows steps to whoever is looking."""

    def step(self, name: str) -> Any: ...


class Quiet:
    """Shows nothing."""

    @contextmanager
    def step(self, name: str) -> Iterator[Any]:
        del name
        yield type("Step", (), {"detail": ""})()


class Up:
    """One run of ``up``."""

    def __init__(self, layout: Layout, cluster: ClusterFile, *, nodes: int, fake: bool, lines: Lines | None = None) -> None:
        self.layout = layout
        self.cluster = cluster
        self.lines = lines
        self.fake = fake
        self.node_names = [f"n{i + 1}" for i in range(nodes)]
        self.hosts = Hosts(layout)
        self.state = states.load(layout) or ClusterState(name=cluster.name, fake=fake)

    @property
    def separate_hosts(self) -> bool:
        return not self.fake and len(self.node_names) > 1

    async def run(self, report: Reporter) -> ClusterState:
        """Raises ClusterError, PluginErrors, StartFailed."""
        self._refuse_without_root()
        with report.step("Plugins checked"):
            check(self.cluster, Loader(), self.lines)
        self._choose_networks()
        self._keep_cluster_file()
        if self.separate_hosts:
            with report.step("Node hosts (network namespaces) made"):
                await asyncio.to_thread(self.hosts.create, self.node_names)
        with report.step("Control plane ready") as step:
            await self._start_server()
            step.detail = self.state.url
        with report.step("Node agents started"):
            await self._start_agents()
        with report.step("Nodes Ready") as step:
            await self._nodes_ready()
            step.detail = ", ".join(n.name for n in self.state.nodes)
        return self.state

    def _refuse_without_root(self) -> None:
        if os.geteuid() != 0 and not self.fake:
            raise ClusterError("real containers need root: run it with sudo, or use --fake for nodes as data")
        if self.fake and self.separate_hosts:
            raise ClusterError("--fake nodes need no hosts of their own")

    def _choose_networks(self) -> None:
        """A new cluster on the defaults keeps clear of others on this machine."""
        if self.cluster.networking == Networking() and not self.layout.cluster_file.exists() and not self.fake:
            networking = Networking() if self.separate_hosts else free_defaults(self.cluster.networking)
            self.cluster = msgspec.structs.replace(self.cluster, networking=networking)

    def _keep_cluster_file(self) -> None:
        """The file in force is kept beside the data, so that agents and later commands read the same."""
        from bareboat.cluster.file.writing import dump

        states.write_private(self.layout.cluster_file, dump(self.cluster))

    async def _start_server(self) -> None:
        if self.state.server and self.state.server.alive:
            return
        arguments = ["server", "--data-dir", str(self.layout.data_dir), "--config", str(self.layout.cluster_file)]
        if self.separate_hosts:
            arguments += ["--advertise-address", self.hosts.gateway]
        self.state.server, ready = await start(arguments, self.layout.logs / "server.log")
        self.state.url = next(word for word in ready.split() if word.startswith("https://"))
        states.save(self.layout, self.state)

    async def _start_agents(self) -> None:
        known = {n.name: n for n in self.state.nodes}
        wanted = [known.get(name) or self._host(name, index) for index, name in enumerate(self.node_names)]
        self.state.nodes = wanted
        states.save(self.layout, self.state)  # before anything starts, so that `down` sweeps what did
        if self.fake:
            await self._start_agent(wanted)
        else:
            await asyncio.gather(*(self._start_agent([node]) for node in wanted))
        states.save(self.layout, self.state)

    def _host(self, name: str, index: int) -> NodeState:
        if self.separate_hosts:
            return NodeState(name=name, netns=self.hosts.netns(name), address=self.hosts.address(index))
        return NodeState(name=name)

    async def _start_agent(self, nodes: list[NodeState]) -> None:
        first = nodes[0]
        if first.process and first.process.alive:
            return
        arguments = ["agent", "--data-dir", str(self.layout.data_dir), "--config", str(self.layout.cluster_file)]
        for node in nodes:
            arguments += ["--node", node.name]
        if first.address:
            arguments += ["--node-address", first.address]
        log = self.layout.logs / ("agents.log" if self.fake else f"{first.name}.log")
        process, _ = await start(arguments, log, netns=first.netns)
        for node in nodes:
            node.process = process

    async def _nodes_ready(self) -> None:
        transport = load_kubeconfig(self.layout.kubeconfig)
        client = Client(transport, Scheme.builtin())
        waiting = {n.name for n in self.state.nodes}
        try:
            async with asyncio.timeout(60):
                async for event in client.watch(core_v1.Node, send_initial=True):
                    if event.object is not None and _ready(event.object):
                        waiting.discard(event.object.metadata.name)
                    if not waiting:
                        return
        except TimeoutError:
            raise ClusterError(f"not Ready after 60 s: {', '.join(sorted(waiting))}; see {self.layout.logs}") from None
        finally:
            await transport.close()


def _ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"


def copy_kubeconfig(layout: Layout, target: Path) -> None:
    """For --write-kubeconfig."""
    states.write_private(target.expanduser().absolute(), layout.kubeconfig.read_bytes())
