"""Pods that nobody else removes: ended ones beyond a number, those of nodes that are gone, unscheduled ones on their way out.

A sweep every twenty seconds, over indexes of the pods that may be concerned. A pod that had not ended is marked Failed first, so that its
controller counts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from bareboat.models import core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts, PodMetadata
from bareboat.reconcile.informer import InformerFactory

SWEEP = 20.0
#: Pods read at a stretch.
PORTION = 100
#: Nodes looked up at a stretch.
NODES = 1000
#: A node has to be gone this long before its pods go.
QUARANTINE = 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_INDEX, _ENDED, _LEAVING, _DEAD = "podgc", "ended", "leaving", "dead"


class _Meta(PodMetadata, gc=False):
    creationTimestamp: str = ""


class _Pod(PodFacts, gc=False):
    metadata: _Meta


class _Taint(msgspec.Struct, gc=False):
    key: str = ""


class _Taints(msgspec.Struct, gc=False):
    taints: list[_Taint] = []


class _Tainted(msgspec.Struct, gc=False):
    spec: _Taints = msgspec.field(default_factory=_Taints)


class PodGarbageCollector(Controller):
    """Keys are not used; ``threshold`` is how many ended pods may stay (0 = all)."""

    name = "pod-garbage-collector"
    workers = 1
    threshold: ClassVar[int] = 12500

    def setup(self, informers: InformerFactory) -> None:
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("node", lambda pod: (pod.spec.nodeName,) if pod.spec.nodeName else (), PodFacts)
        self._pods.add_index(_INDEX, _concerns, PodFacts)
        self._nodes = informers.of(core_v1.Node)
        self._nodes.add_index(_INDEX, lambda node: (_DEAD,) if any(t.key == OUT_OF_SERVICE for t in node.spec.taints) else (), _Tainted)
        self._needs += [self._pods, self._nodes]
        self._missing: dict[str, float] = {}

    async def reconcile(self, key: str) -> float | None:
        del key
        return None

    async def background(self) -> None:
        while True:
            await self.clock.sleep(SWEEP)
            await self.sweep()

    async def sweep(self) -> None:
        for pod in await self._surplus():
            await self._collect(pod, "", "")
        for pod in await self._out_of_service():
            await self._collect(pod, "", "")
        for pod in await self._orphans():
            await self._collect(pod, "DeletionByPodGC", "PodGC: node no longer exists")
        for pod in await self._read(self._pods.by_index(_INDEX, _LEAVING)):
            await self._collect(pod, "", "")

    async def _read(self, keys: Iterable[str]) -> list[_Pod]:
        """In portions, so that many pods do not hold up everybody else."""
        pods: list[_Pod] = []
        for number, key in enumerate(keys, 1):
            data = self._pods.raw(key)
            if data is not None:
                pods.append(msgspec.json.decode(data, type=_Pod))
            if number % PORTION == 0:
                await asyncio.sleep(0)
        return pods

    async def _surplus(self) -> list[_Pod]:
        keys = self._pods.by_index(_INDEX, _ENDED)
        if not self.threshold or len(keys) <= self.threshold:
            return []
        ended = await self._read(keys)
        ended.sort(key=lambda p: (p.metadata.creationTimestamp, p.metadata.name))
        return ended[: max(0, len(ended) - self.threshold)]

    async def _out_of_service(self) -> list[_Pod]:
        """Pods on their way out on nodes that are not ready and declared dead."""
        found: list[_Pod] = []
        for key in self._nodes.by_index(_INDEX, _DEAD):
            node = self._nodes.get(key)
            if node is not None and not _ready(node):
                found += await self._read(self._pods.by_index("node", node.metadata.name))
        return [pod for pod in found if pod.metadata.deletionTimestamp]

    async def _orphans(self) -> list[_Pod]:
        now = self.clock.monotonic()
        absent = set()
        for number, name in enumerate(self._pods.index_values("node"), 1):
            if self._nodes.raw(f"/{name}") is None:
                absent.add(name)
            if number % NODES == 0:
                await asyncio.sleep(0)
        self._missing = {name: self._missing.get(name, now) for name in absent}
        gone = [name for name, since in self._missing.items() if now - since >= QUARANTINE and await self._is_gone(name)]
        return await self._read([key for name in gone for key in self._pods.by_index("node", name)])

    async def _is_gone(self, name: str) -> bool:
        try:
            await self.client.get(core_v1.Node, name)
        except NotFound:
            return True
        return False

    async def _collect(self, pod: _Pod, reason: str, message: str) -> None:
        meta = pod.metadata
        try:
            if pod.status.phase not in ("Succeeded", "Failed"):
                await self._fail(pod, reason, message)
            await self.client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid, grace_seconds=0)
        except NotFound:
            return
        except ApiError as error:
            if error.code != 409:  # another pod of the name, or written meanwhile: the next sweep sees
                raise

    async def _fail(self, pod: _Pod, reason: str, message: str) -> None:
        meta = pod.metadata
        status: dict[str, Any] = {"phase": "Failed"}
        if reason:
            conditions: list[core_v1.PodCondition] = []
            set_condition(conditions, "DisruptionTarget", "True", reason, message, self.clock.timestamp(), cls=core_v1.PodCondition)
            status["conditions"] = msgspec.to_builtins(conditions)
        patch = {"metadata": {"uid": meta.uid}, "status": status}
        await self.client.patch(core_v1.Pod, meta.name, patch, meta.namespace, type="strategic", subresource="status")


def _concerns(pod: PodFacts) -> Iterable[str]:
    if pod.status.phase not in ("Pending", "Running", "Unknown", ""):
        yield _ENDED
    if pod.metadata.deletionTimestamp and not pod.spec.nodeName:
        yield _LEAVING


def _ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"
