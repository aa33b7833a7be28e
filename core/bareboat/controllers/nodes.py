"""Nodes: a pod network for each, and what to do when one falls silent.

A node whose Lease is older than 40 s is Unknown; nodes that are not Ready are tainted, and pods that do not tolerate the
taint leave when their time is over.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

import msgspec

from bareboat.controllers.claims import Metadata
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


class _Spec(msgspec.Struct):
    nodeName: str = ""


class _PlacedPod(msgspec.Struct):
    """What of a pod leads to its node."""

    metadata: Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class NodeLifecycleController(Controller):
    name = "node-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._nodes = self.watch(informers.of(core_v1.Node))
        self._leases = informers.of(coordination_v1.Lease, "kube-node-lease")
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("node", lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (), _PlacedPod)
        self.watch(self._pods, self._node_of, _PlacedPod)
        self._needs.append(self._leases)
        self._eviction = TaintEviction(self.client, self.events, self.clock)
        self._renewed: dict[str, tuple[str, float]] = {}

    def _node_of(self, _key: str, pod: _PlacedPod) -> Iterable[str]:
        return [f"/{pod.spec.nodeName}"] if pod.spec.nodeName and pod.metadata.deletionTimestamp is None else []

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
        keys = self._pods.by_index("node", node.metadata.name)
        return await self._eviction.run(node, [p for k in keys if (p := self._pods.get(k)) is not None] if node.spec.taints else [])

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
        for key in self._pods.by_index("node", node.metadata.name):
            pod = self._pods.get(key)
            condition = get_condition(pod.status.conditions, "Ready") if pod is not None else None
            if pod is None or condition is None or condition.status != "True":
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


def _ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"
