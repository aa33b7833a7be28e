"""How a cluster stands: its processes, its store, its event loop, its nodes and plugins. What `bareboat status` shows.

In: the state file, /proc, the store's files, and the API server's answers as far as it gives any. Out: one ``Standing``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bareboat.client.transport import Transport
from bareboat.cluster.nodes import Administrator, Nodes, ready
from bareboat.cluster.state import NodeState, Process
from bareboat.models import core_v1
from bareboat.models.bareboat_v1 import PluginSpec
from bareboat.models.scheme import Scheme
from bareboat.models.status import ApiError

_REVISION, _LAG, _WORST, _OBJECTS = (
    "bareboat_store_revision",
    "bareboat_loop_lag_seconds",
    "bareboat_loop_lag_worst_seconds",
    "apiserver_storage_objects",
)


class Component(msgspec.Struct, kw_only=True):
    """A process. ``memory`` is its proportional share in bytes."""

    component: str
    address: str
    state: str
    pid: int
    memory: int


class NodeStanding(msgspec.Struct, kw_only=True):
    name: str
    state: str = "Unknown"
    agent: str = "stopped"
    pid: int = 0
    address: str = ""
    podCIDR: str = ""
    pods: int = 0


class StoreStanding(msgspec.Struct, kw_only=True):
    """``bytes`` on disk; ``revision`` and ``objects`` are 0 while the server does not answer."""

    bytes: int = 0
    revision: int = 0
    objects: int = 0


class Standing(msgspec.Struct, kw_only=True):
    """Loop lag in seconds: the last measure, and the worst of the last minute."""

    name: str
    url: str
    version: str = ""
    reachable: bool = False
    components: list[Component] = []
    store: StoreStanding = msgspec.field(default_factory=StoreStanding)
    loopLag: float = 0.0
    loopLagWorst: float = 0.0
    nodes: list[NodeStanding] = []
    plugins: list[dict[str, str]] = []

    @property
    def well(self) -> bool:
        return all(c.state == "running" for c in self.components) and all(n.state == "Ready" for n in self.nodes)


async def look(nodes: Nodes) -> Standing:
    """Never fails for what the cluster lacks: that is what it shows."""
    state = nodes.state
    found = Standing(name=state.name, url=state.url)
    found.components = [_component("server", state.url, state.server)]
    found.components += [_component(f"agent {n.name}", n.address, n.process) for n in state.nodes]
    found.nodes = [_node(n) for n in state.nodes]
    found.store.bytes = sum(f.stat().st_size for f in (nodes.layout.data_dir / "server").glob("**/*.db*") if f.is_file())
    if state.server is None or not state.server.alive:
        return found
    administrator = Administrator(nodes.layout)
    try:
        async with administrator as client:
            _tell_nodes(found, (await client.list(core_v1.Node)).items)
            pods, _ = await client.list_raw(Scheme.builtin().by_type(core_v1.Pod), None)
            for _, _, data in pods:
                _count(found, data)
            await _tell_server(found, administrator.transport)
        found.reachable = True
    except ApiError:
        found.components[0].state = "unreachable"
    return found


def _component(name: str, address: str, process: Process | None) -> Component:
    alive = process is not None and process.alive
    pid = process.pid if process is not None and alive else 0
    return Component(component=name, address=address, state="running" if alive else "stopped", pid=pid, memory=pss_bytes(pid) if pid else 0)


def _node(node: NodeState) -> NodeStanding:
    pid = node.process.pid if node.process is not None and node.alive else 0
    return NodeStanding(name=node.name, agent="running" if pid else "stopped", pid=pid, address=node.address)


def _tell_nodes(found: Standing, seen: list[core_v1.Node]) -> None:
    known = {n.name: n for n in found.nodes}
    for node in seen:
        row = known.get(node.metadata.name)
        if row is None:  # it joined from elsewhere
            row = NodeStanding(name=node.metadata.name, agent="elsewhere")
            found.nodes.append(row)
        row.state = "Ready" if ready(node) else "NotReady"
        row.podCIDR = node.spec.podCIDR
        row.address = row.address or next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")


class _Spec(msgspec.Struct):
    nodeName: str = ""


class _Pod(msgspec.Struct):
    spec: _Spec


_decode_pod = msgspec.json.Decoder(_Pod).decode


def _count(found: Standing, data: bytes) -> None:
    place = _decode_pod(data).spec.nodeName
    for node in found.nodes:
        if node.name == place:
            node.pods += 1


async def _tell_server(found: Standing, transport: Transport) -> None:
    metrics = parsed((await transport.request("GET", "/metrics", accept="text/plain")).body.decode())
    found.store.revision = int(metrics.get(_REVISION, 0))
    found.store.objects = int(metrics.get(_OBJECTS, 0))
    found.loopLag, found.loopLagWorst = metrics.get(_LAG, 0.0), metrics.get(_WORST, 0.0)
    version = await transport.request("GET", "/version")
    found.version = str(msgspec.json.decode(version.body).get("gitVersion", ""))
    answer = await transport.request("GET", "/apis/bareboat.dev/v1/plugins")
    for item in msgspec.json.decode(answer.body).get("items", ()):
        spec = msgspec.convert(item["spec"], PluginSpec)
        found.plugins.append(
            {
                "name": spec.name,
                "contract": spec.contract,
                "node": spec.node or "(control plane)",
                "distribution": spec.distribution,
                "version": spec.version,
                "state": str(item.get("status", {}).get("state", "")),
            }
        )


def parsed(text: str) -> dict[str, float]:
    """Metrics by name, summed over their labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            plain = name.partition("{")[0]
            found[plain] = found.get(plain, 0.0) + float(value)
    return found


@cache
def pss_bytes(pid: int) -> int:
    """Proportional set size of a process, from /proc. The kernel walks all of its memory for that, so it is asked once."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 0


def as_tree(found: Standing) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(found)
    return tree
