"""One step of a rolling update: how far to scale the new set up and the old ones down, within surge and unavailability."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bareboat.client.client import Client
from bareboat.models import apps_v1, core_v1
from bareboat.models.status import NotFound
from bareboat.reconcile.events import EventRecorder

REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
#: Annotations of a Deployment that its ReplicaSets do not get.
_OWN = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAX, "deprecated.deployment.rollback.to"})


def revision_of(obj: Any) -> int:
    text = obj.metadata.annotations.get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def resolve_bounds(deployment: apps_v1.Deployment) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) in pods; never both 0."""
    rolling = deployment.spec.strategy.rollingUpdate
    if deployment.spec.strategy.type != "RollingUpdate" or rolling is None:
        return 0, 0
    wanted = deployment.spec.replicas or 0
    surge = _absolute(rolling.maxSurge, wanted, math.ceil)
    unavailable = _absolute(rolling.maxUnavailable, wanted, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, wanted)


def _absolute(value: int | str | None, total: int, rounded: Callable[[float], int]) -> int:
    if isinstance(value, str):
        return rounded(int(value.rstrip("%")) * total / 100)
    return value or 0


def desired_annotations(deployment: apps_v1.Deployment, replica_set: apps_v1.ReplicaSet, revision: int) -> dict[str, str]:
    """What the set's annotations still lack. What its size was computed for is written when it is scaled."""
    wanted = {k: v for k, v in deployment.metadata.annotations.items() if k not in _OWN}
    wanted[REVISION] = str(revision)
    have = replica_set.metadata.annotations
    return {k: v for k, v in wanted.items() if have.get(k) != v}


def size_annotations(deployment: apps_v1.Deployment) -> dict[str, str]:
    """What the size of a set is computed for."""
    surge, _ = resolve_bounds(deployment)
    return {DESIRED: str(deployment.spec.replicas or 0), MAX: str((deployment.spec.replicas or 0) + surge)}


class Rollout:
    """The sets of one Deployment during one reconcile."""

    def __init__(
        self,
        client: Client,
        deployment: apps_v1.Deployment,
        new: apps_v1.ReplicaSet | None,
        old: list[apps_v1.ReplicaSet],
        events: EventRecorder,
        pods_of: Callable[[apps_v1.ReplicaSet], list[core_v1.Pod]],
    ) -> None:
        self._client = client
        self._deployment = deployment
        self.new = new
        self._old = sorted(old, key=lambda s: s.metadata.creationTimestamp or "")
        self._events = events
        self._pods_of = pods_of
        self._wanted = deployment.spec.replicas or 0
        self._surge, self._unavailable = resolve_bounds(deployment)

    async def step(self) -> None:
        """Up first; down in the same step only as far as availability allows."""
        new = self.new
        assert new is not None
        size = new.spec.replicas or 0
        if size > self._wanted:
            await self.scale(new, self._wanted)
        elif size < self._wanted:
            room = self._wanted + self._surge - self._total()
            if room > 0:
                await self.scale(new, min(self._wanted, size + room))
        await self._shrink_old()

    def _total(self) -> int:
        return sum(s.spec.replicas or 0 for s in [*self._old, *([self.new] if self.new is not None else [])])

    async def _shrink_old(self) -> None:
        new = self.new
        assert new is not None
        least = self._wanted - self._unavailable
        new_unavailable = max(0, (new.spec.replicas or 0) - new.status.availableReplicas)
        budget = self._total() - least - new_unavailable
        if budget <= 0:  # by what is asked for, not by counts that may lag behind
            return
        for replica_set in self._old:  # pods that are not available cost nothing
            size = replica_set.spec.replicas or 0
            unhealthy = min(size - min(size, replica_set.status.availableReplicas), max(0, budget))
            if unhealthy > 0:
                await self.scale(replica_set, size - unhealthy)
                budget -= unhealthy
        available = sum(s.status.availableReplicas for s in [*self._old, new])
        spare = min(available - least, budget)
        for replica_set in self._old:
            size = replica_set.spec.replicas or 0
            down = min(size, max(0, spare))
            if down > 0:
                await self.scale(replica_set, size - down)
                spare -= down

    async def resize(self) -> None:
        """The number of replicas changed, perhaps in the middle of a rollout: every set keeps its share."""
        sets = [*self._old, *([self.new] if self.new is not None else [])]
        active = [s for s in sets if s.spec.replicas]
        if len(active) <= 1:
            chosen = active or sets[-1:]
            for replica_set in chosen:
                await self.scale(replica_set, self._wanted, note=True)
        elif self.new is not None and self._is_saturated(self.new):
            for replica_set in self._old:
                await self.scale(replica_set, 0)
        else:
            await self._proportional(active)

    def _is_saturated(self, replica_set: apps_v1.ReplicaSet) -> bool:
        told = replica_set.metadata.annotations.get(DESIRED) == str(self._wanted)
        return told and replica_set.spec.replicas == self._wanted == replica_set.status.availableReplicas

    async def _proportional(self, active: list[apps_v1.ReplicaSet]) -> None:
        allowed = self._wanted + self._surge if self._wanted > 0 else 0
        left = allowed - sum(s.spec.replicas or 0 for s in active)
        active = sorted(active, key=lambda s: s.metadata.creationTimestamp or "", reverse=left > 0)
        active.sort(key=lambda s: -(s.spec.replicas or 0))
        sizes = []
        for replica_set in active:
            share = self._share(replica_set)
            change = max(0, min(share, left)) if left > 0 else min(0, max(share, left))
            sizes.append((replica_set.spec.replicas or 0) + change)
            left -= change
        sizes[0] += left
        for replica_set, size in zip(active, sizes, strict=True):
            await self.scale(replica_set, max(0, size), note=True)

    def _share(self, replica_set: apps_v1.ReplicaSet) -> int:
        """By how much the set is to grow or shrink to keep its part of the whole."""
        size = replica_set.spec.replicas or 0
        if not self._wanted:
            return -size
        text = replica_set.metadata.annotations.get(MAX, "")
        before = int(text) if text.isdigit() and int(text) else self._deployment.status.replicas or size
        return math.floor(size * (self._wanted + self._surge) / before + 0.5) - size

    async def scale(self, replica_set: apps_v1.ReplicaSet, size: int, *, note: bool = False) -> None:
        """``note``: also write down what the size was computed for, if that is all that changed."""
        before = replica_set.spec.replicas or 0
        notes = size_annotations(self._deployment)
        noted = not note or all(replica_set.metadata.annotations.get(k) == v for k, v in notes.items())
        if before == size and noted:
            return
        patch = {"metadata": {"annotations": notes}, "spec": {"replicas": size}}
        try:
            await self._client.patch(apps_v1.ReplicaSet, replica_set.metadata.name, patch, replica_set.metadata.namespace)
        except NotFound:
            return
        replica_set.spec.replicas = size
        if before == size:
            return
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {replica_set.metadata.name} from {before} to {size}"
        self._events.event(self._deployment, "Normal", "ScalingReplicaSet", message)
