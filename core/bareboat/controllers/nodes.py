"""Nodes: a pod network for each, and what to do when one falls silent.

A node whose Lease is older than 40 s is Unknown; nodes that are not Ready are tainted, and pods that do not tolerate the
taint leave when their time is over.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import ClassVar

import msgspec

from bareboat.controllers.claims import Metadata
from bareboat.models import coordination_v1, core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.node_fit import tolerated
from bareboat.models.status import ApiError, NotFound
from bareboat.models.times import parse
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


class NodeAddressController(Controller):
    """Gives every node a /24 of ``pod_cidr`` (set by the assembly)."""

    name = "node-ipam-controller"
    workers = 1
    pod_cidr: ClassVar[str] = "10.244.0.0/16"

    def setup(self, informers: InformerFactory) -> None:
        self._nodes = self.watch(informers.of(core_v1.Node))

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None or node.spec.podCIDR:
            return None
        taken = {n.spec.podCIDR for n in self._nodes.list()}
        network = ipaddress.IPv4Network(self.pod_cidr)
        free = next((str(s) for s in network.subnets(new_prefix=max(24, network.prefixlen)) if str(s) not in taken), "")
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
        self._pods.add_index("node", lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else ())
        self.watch(self._pods, self._node_of, _PlacedPod)
        self._needs.append(self._leases)
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
            await self._collect_orphans(key.lstrip("/"))
            return None
        if self._silent(key, node):
            node = await self._mark_unknown(node)
        wanted = self._taints(node)
        if wanted != _managed(node.spec.taints):
            node = await self._write_taints(node, wanted)
        if not _ready(node):
            await self._mark_pods_not_ready(node)
        return await self._evict(node)

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

    async def _evict(self, node: core_v1.Node) -> float | None:
        """Delete pods whose time on a NoExecute taint is over; seconds until the next one's is."""
        taints = [t for t in node.spec.taints if t.effect == "NoExecute"]
        if not taints:
            return None
        next_due: float | None = None
        for key in self._pods.by_index("node", node.metadata.name):
            pod = self._pods.get(key)
            if pod is None or pod.metadata.deletionTimestamp:
                continue
            left = self._time_left(pod, taints)
            if left is not None and left <= 0:
                self.events.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
                await self._delete(pod)
            elif left is not None:
                next_due = left if next_due is None else min(next_due, left)
        return next_due

    def _time_left(self, pod: core_v1.Pod, taints: list[core_v1.Taint]) -> float | None:
        """None = the pod may stay for ever."""
        now, times = self.clock.now().timestamp(), []
        for taint in taints:
            matching = [t for t in pod.spec.tolerations if tolerated(taint, [t])]
            if not matching:
                return 0.0
            bounded = [t.tolerationSeconds for t in matching if t.tolerationSeconds is not None]
            if bounded:
                since = parse(taint.timeAdded).timestamp() if taint.timeAdded else now
                times.append(since + min(bounded) - now)
        return min(times) if times else None

    async def _collect_orphans(self, name: str) -> None:
        """Pods of a node that is gone go too."""
        for key in self._pods.by_index("node", name):
            pod = self._pods.get(key)
            if pod is not None:
                await self._delete(pod, grace=0)

    async def _delete(self, pod: core_v1.Pod, grace: int | None = None) -> None:
        meta = pod.metadata
        try:
            await self.client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid, grace_seconds=grace)
        except (NotFound, ApiError) as error:
            if not isinstance(error, NotFound) and error.code != 409:
                raise


def _managed(taints: list[core_v1.Taint]) -> set[tuple[str, str]]:
    ours = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()}
    return {(t.key, t.effect) for t in taints if t.key in ours}


def _ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"
