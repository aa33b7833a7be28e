"""Pods leave a node with a NoExecute taint that they do not tolerate, or no longer: at once, or when their time is over.

The time runs from when the taint was added, if it says so, else from when it was first seen here, and never from before the pod.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.models import core_v1
from bareboat.models.meta import set_condition
from bareboat.models.node_fit import tolerated
from bareboat.models.status import Conflict, NotFound
from bareboat.models.times import parse
from bareboat.reconcile.events import EventRecorder

_MESSAGE = "Taint manager: deleting due to NoExecute taint"


class TaintEviction:
    def __init__(self, client: Client, events: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._events = events
        self._clock = clock
        self._seen: dict[str, dict[tuple[str, str], float]] = {}

    def forget(self, node: str) -> None:
        self._seen.pop(node, None)

    async def run(self, node: core_v1.Node, pods: AsyncIterator[core_v1.Pod]) -> float | None:
        """Seconds until the next pod's time is over."""
        taints = [t for t in node.spec.taints if t.effect == "NoExecute"]
        since = self._note(node.metadata.name, taints)
        due = None
        if not taints:
            return None
        async for pod in pods:
            left = None if pod.metadata.deletionTimestamp else self._time_left(pod, taints, since)
            if left is None:
                continue
            if left <= 0:
                await self._evict(pod)
            else:
                due = left if due is None else min(due, left)
        return due

    def _note(self, node: str, taints: list[core_v1.Taint]) -> dict[tuple[str, str], float]:
        now, known = self._clock.now().timestamp(), self._seen.get(node, {})
        found = {}
        for taint in taints:
            added = parse(taint.timeAdded).timestamp() if taint.timeAdded else now
            found[taint.key, taint.value] = known.get((taint.key, taint.value), added)
        if found:
            self._seen[node] = found
        else:
            self.forget(node)
        return found

    def _time_left(self, pod: core_v1.Pod, taints: list[core_v1.Taint], since: dict[tuple[str, str], float]) -> float | None:
        """None = the pod may stay for ever."""
        now, times = self._clock.now().timestamp(), []
        born = parse(pod.metadata.creationTimestamp).timestamp() if pod.metadata.creationTimestamp else now
        for taint in taints:
            matching = [t for t in pod.spec.tolerations if tolerated(taint, [t])]
            if not matching:
                return 0.0
            bounded = [t.tolerationSeconds for t in matching if t.tolerationSeconds is not None]
            if bounded:
                times.append(max(since[taint.key, taint.value], born) + min(bounded) - now)
        return min(times) if times else None

    async def _evict(self, pod: core_v1.Pod) -> None:
        meta = pod.metadata
        self._events.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {meta.namespace}/{meta.name}")
        try:
            if pod.status.phase not in ("Succeeded", "Failed"):
                await self._mark(pod)
            await self._client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid)
        except (NotFound, Conflict):
            return  # gone, or another pod of the name

    async def _mark(self, pod: core_v1.Pod) -> None:
        """Whoever counts failures shall know that this is none of the pod's own."""
        conditions: list[core_v1.PodCondition] = []
        now = self._clock.timestamp()
        set_condition(conditions, "DisruptionTarget", "True", "DeletionByTaintManager", _MESSAGE, now, cls=core_v1.PodCondition)
        patch: dict[str, Any] = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": msgspec.to_builtins(conditions)}}
        meta = pod.metadata
        await self._client.patch(core_v1.Pod, meta.name, patch, meta.namespace, type="strategic", subresource="status")
