"""``bareboat up``: from a cluster file to running processes, step by step, each step shown.

Order: check every plugin → node hosts (network namespaces) when there are several nodes → server process → one agent
process per node (all fake nodes in one) → every Node Ready. What a former ``up`` left running is kept: the command may
be repeated. Nothing is undone on failure; ``down`` does that.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.choices import check
from bareboat.cluster.file.plan import Change, changes, shown
from bareboat.cluster.file.reading import Lines, read
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.layout import Layout
from bareboat.cluster.networks import settled, taken
from bareboat.cluster.nodes import Nodes
from bareboat.cluster.processes import start, stop
from bareboat.cluster.state import ClusterState, NodeState
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
    """One run of ``up``. ``count`` None keeps the nodes that the cluster had, or makes one; nodes beyond ``count`` are kept."""

    def __init__(
        self,
        layout: Layout,
        cluster: ClusterFile,
        *,
        count: int | None,
        fake: bool,
        lines: Lines | None = None,
        logging: Sequence[str] = (),
    ) -> None:
        self.layout = layout
        self.cluster = cluster
        self.lines = lines
        known = states.load(layout)
        self.state = known or ClusterState(name=cluster.name, fake=fake)
        self.nodes = Nodes(layout, self.state)
        self.state.logging = [*logging] or self.state.logging
        self._resumed = False
        self._names = _former_nodes(layout) if count is None else [f"n{i + 1}" for i in range(count)]
        if not self.state.nodes:
            self.state.separate = not self.state.fake and len(self._names) > 1

    @classmethod
    def resumed(cls, former: Up, state: ClusterState) -> Up:
        """The same once more, on the state that is on disk now: what ended is started again, what was stopped on purpose is not."""
        found = cls(former.layout, former.cluster, count=0, fake=state.fake, lines=former.lines)
        found._resumed = True
        return found

    async def run(self, report: Reporter) -> ClusterState:
        """Raises ClusterError, PluginErrors, StartFailed."""
        self._refuse()
        with report.step("Plugins checked"):
            check(self.cluster, Loader(), self.lines)
        changed = self.plan()
        self._keep_cluster_file()
        await self._make_room(changed)
        self._plan_nodes()
        states.save(self.layout, self.state)  # before anything is made, so that `down` finds it
        if self.state.separate:
            with report.step("Node hosts (network namespaces) made"):
                await asyncio.to_thread(self.nodes.hosts.create, [(n.name, n.address) for n in self.state.nodes])
        with report.step("Control plane ready") as step:
            await self._start_server()
            step.detail = self.state.url
        with report.step("Node agents started"):
            await self.nodes.start(self._wanted())
        with report.step("Nodes Ready") as step:
            await self.nodes.ready(self._wanted())
            names = [n.name for n in self.state.nodes]
            step.detail = ", ".join(names) if len(names) <= 8 else f"{len(names)} of {len(names)}"
        return self.state

    def plan(self) -> list[Change]:
        """What the file would change in the cluster that is there. Raises ClusterError for what cannot be changed."""
        self._settle()
        if not self.layout.cluster_file.exists() or self.state.server is None:
            return []
        found = changes(read(self.layout.cluster_file)[0], self.cluster)
        refused = [shown(change) for change in found if change.effect == "refused"]
        if refused:
            raise ClusterError("\n".join(["the cluster file is refused; nothing was changed", *refused]))
        return found

    async def _make_room(self, changed: Sequence[Change]) -> None:
        """Tell the server what it can take over, end what has to begin anew."""
        effects = {change.effect for change in changed}
        server = self.state.server
        if server is not None and server.alive:
            if "server" in effects:
                await stop(server)
            elif "live" in effects:
                os.kill(server.pid, signal.SIGHUP)
        if "nodes" in effects:
            processes = {n.process.pid: n.process for n in self.state.nodes if n.process is not None and n.alive}
            await asyncio.gather(*(stop(process) for process in processes.values()))

    def _wanted(self) -> list[NodeState]:
        return [n for n in self.state.nodes if not (self._resumed and n.stopped)]

    def _refuse(self) -> None:
        if os.geteuid() != 0 and not self.state.fake:
            raise ClusterError("real containers need root: run it with sudo, or use --fake for nodes as data")
        if self.state.nodes and len(self._names) > len(self.state.nodes):
            self.nodes.growable()

    def _plan_nodes(self) -> None:
        known = {n.name for n in self.state.nodes}
        if self.state.separate and not self.state.network:
            self.state.network = self.nodes.hosts.choose([] if known else taken())
        for name in self._names if not known or len(self._names) > len(known) else ():
            if name not in known:
                self.nodes.plan(name)

    def _settle(self) -> None:
        """The file as it will be kept: with what is chosen for it here."""
        self._choose_networks()
        if self.cluster.server.allowPrivileged is None:
            server = msgspec.structs.replace(self.cluster.server, allowPrivileged=True)
            self.cluster = msgspec.structs.replace(self.cluster, server=server)

    def _choose_networks(self) -> None:
        """A new cluster on the defaults keeps clear of others on this machine."""
        if self.state.fake:
            return
        former = None
        if (self.layout.data_dir / "server").exists():
            kept = self.layout.cluster_file
            former = read(kept)[0].networking if kept.exists() else self.cluster.networking
        networking = settled(self.layout, self.cluster.networking, former=former, separate=self.state.separate)
        self.cluster = msgspec.structs.replace(self.cluster, networking=networking)

    def _keep_cluster_file(self) -> None:
        """The file in force is kept beside the data, so that agents and later commands read the same."""
        from bareboat.cluster.file.writing import dump

        states.write_private(self.layout.cluster_file, dump(self.cluster))

    async def _start_server(self) -> None:
        if self.state.server and self.state.server.alive:
            return
        arguments = ["server", "--data-dir", str(self.layout.data_dir), "--config", str(self.layout.cluster_file), *self.state.logging]
        if self.cluster.server.port == 0 and self.state.url:  # any port will do, but the agents that run know this one
            arguments += ["--port", self.state.url.rpartition(":")[2]]
        if self.state.separate:
            arguments += ["--advertise-address", self.nodes.hosts.gateway]
        self.state.server, ready = await start(arguments, self.layout.logs / "server.log")
        self.state.url = next(word for word in ready.split() if word.startswith("https://"))
        states.save(self.layout, self.state)


def _former_nodes(layout: Layout) -> list[str]:
    """That have data from an earlier life of the cluster; n1 in a new one."""
    return sorted((d.name for d in (layout.data_dir / "nodes").glob("*") if d.is_dir()), key=lambda n: (len(n), n)) or ["n1"]


def copy_kubeconfig(layout: Layout, target: Path) -> None:
    """For --write-kubeconfig."""
    states.write_private(target.expanduser().absolute(), layout.kubeconfig.read_bytes())
