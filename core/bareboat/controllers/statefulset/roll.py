"""One step of a StatefulSet: make what is missing, end what is too much, replace what is old; in order unless the set is Parallel.

In: the pods as they are. Out: pods created, deleted and relabelled; ``pods`` follows, so that the status can be told from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bareboat.client.client import Client
from bareboat.controllers.revisions import template_of
from bareboat.controllers.statefulset.identity import first_ordinal, give_identity, make_pod, ordinal_of, revision_of, wait_for
from bareboat.controllers.statefulset.storage import Storage
from bareboat.models import apps_v1, core_v1
from bareboat.models.scheme import Resource
from bareboat.models.status import AlreadyExists, ApiError, NotFound
from bareboat.reconcile.events import EventRecorder


@dataclass
class Revised:
    """The revision that pods were made by and the one that they are to be made by."""

    current: apps_v1.ControllerRevision
    update: apps_v1.ControllerRevision


class Roll:
    def __init__(
        self, client: Client, events: EventRecorder, storage: Storage, resource: Resource, available: Callable[[core_v1.Pod], bool]
    ) -> None:
        self._client = client
        self._events = events
        self._storage = storage
        self._resource = resource
        self._available = available

    def begin(self, owner: Any, revised: Revised, pods: list[core_v1.Pod]) -> None:
        self._owner = owner
        self._revised = revised
        self.pods = pods
        start = first_ordinal(owner)
        self._ordinals = range(start, start + (owner.spec.replicas or 0))
        self._ordered: bool = owner.spec.podManagementPolicy != "Parallel"

    async def run(self) -> None:
        by_ordinal = {ordinal_of(p): p for p in self.pods}
        for ordinal in self._ordinals:
            if await self._tend(ordinal, by_ordinal.get(ordinal)) and self._ordered:
                return
        condemned = sorted((p for o, p in by_ordinal.items() if o not in self._ordinals), key=ordinal_of, reverse=True)
        for pod in condemned:
            await self._storage.retain(self._owner, pod)
        if await self._end(condemned):
            return
        if self._owner.spec.updateStrategy.type != "OnDelete":
            await self._replace_old()

    async def _tend(self, ordinal: int, pod: core_v1.Pod | None) -> bool:
        """Bring one replica forward; True if the others have to wait."""
        if pod is None:
            pod = self._wanted(ordinal)
            if self._storage.is_stale(self._owner, pod):
                return True
            await self._create(pod)
            return self._ordered
        if pod.status.phase in ("Failed", "Succeeded"):
            await self._recreate(pod)
            return True
        if pod.status.phase == "Pending" and not pod.metadata.deletionTimestamp:
            await self._storage.create_missing(self._owner, pod)
        if self._ordered and (pod.metadata.deletionTimestamp or not self._available(pod)):
            return True
        if not pod.metadata.deletionTimestamp:
            await self._storage.retain(self._owner, pod)
            if give_identity(self._owner, pod):
                await self._client.update(pod)
        return False

    async def _recreate(self, pod: core_v1.Pod) -> None:
        if pod.metadata.deletionTimestamp:
            return
        kind = pod.status.phase.lower()
        reason = "RecreatingFailedPod" if kind == "failed" else "RecreatingTerminatedPod"
        meta = self._owner.metadata
        message = f"StatefulSet {meta.namespace}/{meta.name} is recreating {kind} Pod {pod.metadata.name}"
        self._events.event(self._owner, "Warning", reason, message)
        await self._delete(pod)

    def _wanted(self, ordinal: int) -> core_v1.Pod:
        """Pods below the partition keep the old template."""
        owner, revision = self._owner, self._revised.update
        strategy = owner.spec.updateStrategy
        if strategy.type == "RollingUpdate":
            rolling = strategy.rollingUpdate
            kept = (rolling.partition or 0) if rolling is not None else owner.status.currentReplicas
            if ordinal < first_ordinal(owner) + kept:
                revision = self._revised.current
        return make_pod(owner, self._resource, template_of(revision), revision.metadata.name, ordinal)

    async def _create(self, pod: core_v1.Pod) -> None:
        owner = self._owner
        await self._storage.create_missing(owner, pod)
        where = f"create Pod {pod.metadata.name} in StatefulSet {owner.metadata.name}"
        try:
            made = await self._client.create(pod)
        except AlreadyExists:
            raise  # made already and not shown yet, or somebody else's: look again later
        except ApiError as error:
            self._events.event(owner, "Warning", "FailedCreate", f"{where} failed error: {error}")
            raise
        self.pods.append(made)
        self._events.event(owner, "Normal", "SuccessfulCreate", f"{where} successful")

    async def _delete(self, pod: core_v1.Pod) -> None:
        owner, meta = self._owner, pod.metadata
        where = f"delete Pod {meta.name} in StatefulSet {owner.metadata.name}"
        try:
            await self._client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return
        except ApiError as error:
            self._events.event(owner, "Warning", "FailedDelete", f"{where} failed error: {error}")
            raise
        meta.deletionTimestamp = meta.deletionTimestamp or meta.creationTimestamp
        self._events.event(owner, "Normal", "SuccessfulDelete", f"{where} successful")

    async def _end(self, condemned: list[core_v1.Pod]) -> bool:
        """Highest first; in order only one at a time, and only the first unhealthy one may go unhealthily."""
        unhealthy = min((p for p in condemned if p.metadata.deletionTimestamp or not self._available(p)), key=ordinal_of, default=None)
        for pod in condemned:
            if pod.metadata.deletionTimestamp:
                if self._ordered:
                    return True
                continue
            if self._ordered and not self._available(pod) and pod is not unhealthy:
                return True
            await self._delete(pod)
            if self._ordered:
                return True
        return False

    async def _replace_old(self) -> None:
        """Delete pods of another revision, highest first, as far as maxUnavailable allows and down to the partition."""
        rolling = self._owner.spec.updateStrategy.rollingUpdate
        partition = (rolling.partition or 0) if rolling is not None else 0
        most = self._most_unavailable(rolling)
        by_ordinal = {ordinal_of(p): p for p in self.pods}
        replicas = [p for o in reversed(self._ordinals) if (p := by_ordinal.get(o)) is not None]
        missing = len(self._ordinals) - len(replicas)
        lacking = missing + sum(1 for p in replicas if self._lacks(p))
        passed = 0
        for pod in replicas:
            if passed >= most or ordinal_of(pod) < first_ordinal(self._owner) + partition:
                return
            lacks = self._lacks(pod)
            old = revision_of(pod) != self._revised.update.metadata.name and not pod.metadata.deletionTimestamp
            if old and (lacks or lacking < most):
                await self._delete(pod)
                lacking += not lacks
                passed += 1
            else:
                passed += lacks

    def _lacks(self, pod: core_v1.Pod) -> bool:
        return pod.metadata.deletionTimestamp is not None or not self._available(pod)

    def _most_unavailable(self, rolling: Any) -> int:
        value = rolling.maxUnavailable if rolling is not None else None
        if isinstance(value, str):
            value = math.floor(int(value.rstrip("%")) * len(self._ordinals) / 100)
        return max(1, 1 if value is None else value)


def waits(owner: Any, pods: list[core_v1.Pod], now: float) -> list[float]:
    """Seconds until ready pods become available."""
    return [w for p in pods if (w := wait_for(p, owner.spec.minReadySeconds, now))]
