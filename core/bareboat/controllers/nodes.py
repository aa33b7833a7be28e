"""Nodes: a pod network for each, and what to do when one falls silent.

A node whose Lease is older than 40 s is Unknown; nodes that are not Ready are tainted, and pods that do not tolerate the
taint leave when their time is over.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import ClassVar

import msgspec

from bareboat.controllers.facts import PodFacts
from bareboat.controllers.tainteviction import TaintEviction
from bareboat.models import coordination_v1, core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

GRACE = 40.0
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class _RangedSpec(msgspec.Struct):
    podCIDR: str = ""


class _RangedNode(msgspec.Struct):
    """What of a node tells the range that it has."""

    spec: _RangedSpec = msgspec.field(default_factory=_RangedSpec)


@lru_cache(1)
def _ranges(cidr: str) -> tuple[str, ...]:
    network = ipaddress.IPv4Network(cidr)
    return tuple(str(found) for found in network.subnets(new_prefix=max(24, network.prefixlen)))


class NodeAddressController(Controller):
    """Gives every node a /24 of ``pod_cidr`` (set by the assembly)."""

    name = "node-ipam-controller"
    workers = 1
    pod_cidr: ClassVar[str] = "10.244.0.0/16"

    def setup(self, informers: InformerFactory) -> None:
        self._nodes = self.watch(informers.of(core_v1.Node))
        self._nodes.add_index("range", lambda node: (node.spec.podCIDR,) if node.spec.podCIDR else (), _RangedNode)

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None or node.spec.podCIDR:
            return None
        taken = set(self._nodes.index_values("range"))
        free = next((found for found in _ranges(self.pod_cidr) if found not in taken), "")
        if not free:
            self.events.event(node, "Warning", "CIDRNotAvailable", f"no free range in {self.pod_cidr}")
            return 60.0
        await self.client.patch(core_v1.Node, node.metadata.name, {"spec": {"podCIDR": free, "podCIDRs": [free]}})
        await self._seen(key)
        return None

    async def _seen(self, key: str) -> None:
        """The next node must not get the same range: wait until the informer shows this one."""
        for _ in range(200):
            node = self._nodes.get(key)
            if node is None or node.spec.podCIDR:
                return
            await asyncio.sleep(0.01)


class _Taint(msgspec.Struct):
    effect: str = ""


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _TaintedSpec(msgspec.Struct):
    taints: list[_Taint] = []


class _Status(msgspec.Struct):
    conditions: list[_Condition] = []


class _Node(msgspec.Struct):
    """What of a node tells whether its pods may stay as they are."""

    spec: _TaintedSpec = msgspec.field(default_factory=_TaintedSpec)
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def well(self) -> bool:
        return all(t.effect != "NoExecute" for t in self.spec.taints) and _ready(self)


class NodeLifecycleController(Controller):
    """A pod that comes to a node or changes there concerns it only while the node is not well."""

    name = "node-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._unwell: set[str] = set()
        informers.of(core_v1.Node).on_view(self._note, _Node)
        self._nodes = self.watch(informers.of(core_v1.Node))
        self._leases = informers.of(coordination_v1.Lease, "kube-node-lease")
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("node", lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (), PodFacts)
        self.watch(self._pods, self._node_of, PodFacts)
        self._needs.append(self._leases)
        self._eviction = TaintEviction(self.client, self.events, self.clock)
        self._renewed: dict[str, tuple[str, float]] = {}

    def _note(self, key: str, _old: _Node | None, new: _Node | None) -> None:
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
            for key in list(self._nodes.keys()):
                self.queue.add(key)
            await self.clock.sleep(5.0)

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None:
            self._renewed.pop(key, None)
            self._eviction.forget(key.lstrip("/"))
            return None
        if self._silent(key, node):
            node = await self._mark_unknown(node)
        wanted = self._taints(node)
        if wanted != _managed(node.spec.taints):
            node = await self._write_taints(node, wanted)
        if not _ready(node):
            await self._mark_pods_not_ready(node)
        evicts = any(taint.effect == "NoExecute" for taint in node.spec.taints)
        return await self._eviction.run(node, list(self._pods_on(node)) if evicts else [])

    def _pods_on(self, node: core_v1.Node) -> Iterator[core_v1.Pod]:
        for key in self._pods.by_index("node", node.metadata.name):
            pod = self._pods.get(key)
            if pod is not None:
                yield pod

    def _silent(self, key: str, node: core_v1.Node) -> bool:
        """Judged by this controller's own clock: how long the lease has not changed."""
        lease = self._leases.get(f"kube-node-lease{key}")
        stamp = (lease.spec.renewTime or "") if lease is not None else ""
        ready = get_condition(node.status.conditions, "Ready")
        stamp += (ready.lastHeartbeatTime or "") if ready is not None else ""
        known = self._renewed.get(key)
        now = self.clock.monotonic()
        if known is None or known[0] != stamp:
            self._renewed[key] = (stamp, now)
            return False
        return now - known[1] > GRACE

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
        for pod in self._pods_on(node):
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


def _managed(taints: list[core_v1.Taint]) -> set[tuple[str, str]]:
    ours = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()}
    return {(t.key, t.effect) for t in taints if t.key in ours}


def _ready(node: core_v1.Node | _Node) -> bool:
    """Also of what a view shows of one."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions)
