"""Pods that nobody else removes: ended ones beyond a number, those of nodes that are gone, unscheduled ones on their way out.

A sweep every twenty seconds. A pod that had not ended is marked Failed first, so that its controller counts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import msgspec

from bareboat.models import core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import Metadata
from bareboat.reconcile.informer import InformerFactory

SWEEP = 20.0
#: Pods read at a stretch.
PORTION = 500
#: A node has to be gone this long before its pods go.
QUARANTINE = 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class _Spec(msgspec.Struct, gc=False):
    nodeName: str = ""


class _Status(msgspec.Struct, gc=False):
    phase: str = ""


class _Meta(Metadata, gc=False):
    creationTimestamp: str = ""


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class PodGarbageCollector(Controller):
    """Keys are not used; ``threshold`` is how many ended pods may stay (0 = all)."""

    name = "pod-garbage-collector"
    workers = 1
    threshold: ClassVar[int] = 12500

    def setup(self, informers: InformerFactory) -> None:
        self._pods = informers.of(core_v1.Pod)
        self._nodes = informers.of(core_v1.Node)
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
        pods, named = await self._read()
        for pod in self._surplus(pods):
            await self._collect(pod, "", "")
        for pod in self._out_of_service(pods):
            await self._collect(pod, "", "")
        async for pod in self._orphans(pods, named):
            await self._collect(pod, "DeletionByPodGC", "PodGC: node no longer exists")
        for pod in pods:
            if pod.metadata.deletionTimestamp and not pod.spec.nodeName:
                await self._collect(pod, "", "")

    async def _read(self) -> tuple[list[_Pod], set[str]]:
        """And which nodes they name. In portions, so that many pods do not hold up everybody else."""
        pods: list[_Pod] = []
        named: set[str] = set()
        for number, key in enumerate(self._pods.keys(), 1):
            data = self._pods.raw(key)
            if data is not None:
                pods.append(msgspec.json.decode(data, type=_Pod))
                named.add(pods[-1].spec.nodeName)
            if number % PORTION == 0:
                await asyncio.sleep(0)
        return pods, named - {""}

    def _surplus(self, pods: list[_Pod]) -> list[_Pod]:
        ended = [p for p in pods if p.status.phase not in ("Pending", "Running", "Unknown", "")]
        if not self.threshold or len(ended) <= self.threshold:
            return []
        ended.sort(key=lambda p: (p.metadata.creationTimestamp, p.metadata.name))
        return ended[: len(ended) - self.threshold]

    def _out_of_service(self, pods: list[_Pod]) -> Iterable[_Pod]:
        """Pods on their way out on nodes that are not ready and declared dead."""
        dead = {n.metadata.name for n in self._marked() if any(t.key == OUT_OF_SERVICE for t in n.spec.taints) and not _ready(n)}
        return [p for p in pods if p.spec.nodeName in dead and p.metadata.deletionTimestamp] if dead else []

    def _marked(self) -> Iterator[core_v1.Node]:
        """Nodes that may be declared dead; the others are not decoded."""
        for key in self._nodes.keys():  # noqa: SIM118
            if OUT_OF_SERVICE.encode() in (self._nodes.raw(key) or b""):
                node = self._nodes.get(key)
                if node is not None:
                    yield node

    async def _orphans(self, pods: list[_Pod], named: set[str]) -> Any:
        now = self.clock.monotonic()
        present = {key.lstrip("/") for key in self._nodes.keys()}  # noqa: SIM118
        absent = named - present
        self._missing = {name: self._missing.get(name, now) for name in absent}
        gone = {name for name, since in self._missing.items() if now - since >= QUARANTINE and await self._is_gone(name)}
        for pod in pods:
            if pod.spec.nodeName in gone:
                yield pod

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


def _ready(node: core_v1.Node) -> bool:
    condition = get_condition(node.status.conditions, "Ready")
    return condition is not None and condition.status == "True"
