"""Nodes: what to do when one falls silent.

A node whose Lease is older than 40 s is Unknown; nodes that are not Ready are tainted, and pods that do not tolerate the
taint leave when their time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec

from bareboat.controllers.tainteviction import TaintEviction
from bareboat.models import coordination_v1, core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

GRACE = 40.0
#: Nodes that are looked at, and pods that are decoded, before others have their turn.
PORTION, PODS = 100, 8
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class _Named(msgspec.Struct):
    uid: str = ""


class _TaintedSpec(msgspec.Struct):
    unschedulable: bool = False
    taints: list[core_v1.Taint] = []


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] = []


class _Node(msgspec.Struct):
    """What of a node tells what is to be done with it, and whether its pods may stay as they are. No heartbeat changes it."""

    metadata: _Named = msgspec.field(default_factory=_Named)
    spec: _TaintedSpec = msgspec.field(default_factory=_TaintedSpec)
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def well(self) -> bool:
        return all(t.effect != "NoExecute" for t in self.spec.taints) and _ready(self)


class _Beat(msgspec.Struct):
    type: str = ""
    lastHeartbeatTime: str | None = None


class _BeatingStatus(msgspec.Struct):
    conditions: list[_Beat] = []


class _Beating(msgspec.Struct):
    status: _BeatingStatus = msgspec.field(default_factory=_BeatingStatus)


class _Renewal(msgspec.Struct):
    renewTime: str | None = None


class _Lease(msgspec.Struct):
    spec: _Renewal = msgspec.field(default_factory=_Renewal)


class _Heard(NamedTuple):
    """What a node said last (its lease and itself, as they are, and their times), and when that was new."""

    lease: bytes | None
    node: bytes
    stamp: str
    at: float


class NodeLifecycleController(Controller):
    """A pod that comes to a node or changes there concerns it only while the node is not well."""

    name = "node-controller"
    workers = 8
    in_a_row = 1

    def setup(self, informers: InformerFactory) -> None:
        self._unwell: set[str] = set()
        self._judged: dict[str, bytes] = {}
        self._nodes = informers.of(core_v1.Node)
        self._nodes.on_view(self._note, _Node)
        self._needs.append(self._nodes)
        self._leases = informers.of(coordination_v1.Lease, "kube-node-lease")
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("node", lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (), PodFacts)
        self.watch(self._pods, self._node_of, PodFacts)
        self._needs.append(self._leases)
        self._eviction = TaintEviction(self.client, self.events, self.clock)
        self._renewed: dict[str, _Heard] = {}

    def _note(self, key: str, old: _Node | None, new: _Node | None) -> None:
        """What is said of a node that is well stays said until more of it changes than its heartbeat."""
        said, now = self._judged.pop(key, None), self._nodes.raw(key)
        if new is old and said is not None and now is not None:
            self._judged[key] = now
        else:
            self.queue.add(key)
        if new is None or new.well:
            self._unwell.discard(key)
        else:
            self._unwell.add(key)

    def _node_of(self, _key: str, pod: PodFacts) -> Iterable[str]:
        if not self._unwell or not pod.spec.nodeName or pod.metadata.deletionTimestamp is not None:
            return ()
        key = f"/{pod.spec.nodeName}"
        return (key,) if key in self._unwell else ()

    async def background(self) -> None:
        while True:
            for number, key in enumerate(self._nodes.keys(), 1):
                if self._judged.get(key) is not self._nodes.raw(key) or self._silent(key):
                    self.queue.add(key)
                if number % PORTION == 0:
                    await asyncio.sleep(0)
            await self.clock.sleep(5.0)

    async def reconcile(self, key: str) -> float | None:
        node, data = self._nodes.get(key), self._nodes.raw(key)
        self._judged.pop(key, None)
        if node is None or data is None:
            self._renewed.pop(key, None)
            self._eviction.forget(key.lstrip("/"))
            return None
        if self._silent(key):
            node = await self._mark_unknown(node)
        wanted = self._taints(node)
        if wanted != _managed(node.spec.taints):
            node = await self._write_taints(node, wanted)
        if not _ready(node):
            await self._mark_pods_not_ready(node)
        evicts = any(taint.effect == "NoExecute" for taint in node.spec.taints)
        if _ready(node) and not evicts:
            self._judged[key] = data  # until it changes there is nothing to do but to hear of it
        return await self._eviction.run(node, self._pods_on(node))

    async def _pods_on(self, node: core_v1.Node) -> AsyncIterator[core_v1.Pod]:
        for number, key in enumerate(self._pods.by_index("node", node.metadata.name), 1):
            if number % PODS == 0:
                await asyncio.sleep(0)
            pod = self._pods.get(key)
            if pod is not None:
                yield pod

    def _silent(self, key: str) -> bool:
        """Judged by this controller's own clock: how long the lease has not changed."""
        lease, node, now = self._leases.raw(f"kube-node-lease{key}"), self._nodes.raw(key), self.clock.monotonic()
        if node is None:
            return False
        known = self._renewed.get(key)
        if known is None or known.lease is not lease or known.node is not node:
            stamp = _stamp(lease, node)
            heard = _Heard(lease, node, stamp, now if known is None or known.stamp != stamp else known.at)
            known = self._renewed[key] = heard
        return now - known.at > GRACE

    async def _mark_unknown(self, node: core_v1.Node) -> core_v1.Node:
        ready = get_condition(node.status.conditions, "Ready")
        if ready is not None and ready.status == "Unknown":
            return node
        for kind in _CONDITIONS:
            message = "Kubelet stopped posting node status."
            set_condition(
                node.status.conditions, kind, "Unknown", "NodeStatusUnknown", message, self.clock.timestamp(), cls=core_v1.NodeCondition
            )
        self.events.event(node, "Normal", "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady")
        return await self.client.update(node, subresource="status")

    def _taints(self, node: core_v1.Node) -> set[tuple[str, str]]:
        ready = get_condition(node.status.conditions, "Ready")
        wanted: set[tuple[str, str]] = set()
        if ready is None or ready.status == "False":
            wanted |= {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}
        elif ready.status == "Unknown":
            wanted |= {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        if node.spec.unschedulable:
            wanted.add((UNSCHEDULABLE, "NoSchedule"))
        for condition, taint in _PRESSURE.items():
            found = get_condition(node.status.conditions, condition)
            if found is not None and found.status == "True":
                wanted.add((taint, "NoSchedule"))
        return wanted

    async def _write_taints(self, node: core_v1.Node, wanted: set[tuple[str, str]]) -> core_v1.Node:
        have = _managed(node.spec.taints)
        kept = [t for t in node.spec.taints if (t.key, t.effect) not in have - wanted]
        for key, effect in sorted(wanted - have):
            kept.append(core_v1.Taint(key=key, effect=effect, timeAdded=self.clock.timestamp()))
        node.spec.taints = kept
        return await self.client.update(node)

    async def _mark_pods_not_ready(self, node: core_v1.Node) -> None:
        ready = get_condition(node.status.conditions, "Ready")
        if ready is None or ready.status != "Unknown":
            return
        async for pod in self._pods_on(node):
            condition = get_condition(pod.status.conditions, "Ready")
            if condition is None or condition.status != "True":
                continue
            change = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": self.clock.timestamp()}
            try:
                await self.client.patch(
                    core_v1.Pod,
                    pod.metadata.name,
                    {"status": {"conditions": [change]}},
                    pod.metadata.namespace,
                    type="strategic",
                    subresource="status",
                )
            except NotFound:
                continue


def _stamp(lease: bytes | None, node: bytes) -> str:
    """The time that the lease was renewed and that of the node's last heartbeat."""
    renewed = msgspec.json.decode(lease, type=_Lease).spec.renewTime if lease is not None else None
    conditions = msgspec.json.decode(node, type=_Beating).status.conditions
    beat = next((c.lastHeartbeatTime for c in conditions if c.type == "Ready"), None)
    return (renewed or "") + (beat or "")


def _managed(taints: list[core_v1.Taint]) -> set[tuple[str, str]]:
    ours = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()}
    return {(t.key, t.effect) for t in taints if t.key in ours}


def _ready(node: core_v1.Node | _Node) -> bool:
    """Also of what a view shows of one."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions)
