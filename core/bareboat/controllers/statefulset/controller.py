"""Revisions, one step, status. Keys are StatefulSets; their pods, revisions and claims lead back to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.controllers.claims import PodClaims
from bareboat.controllers.freshness import Written
from bareboat.controllers.revisions import Revisions
from bareboat.controllers.statefulset.identity import is_running_and_ready, parent_and_ordinal, revision_of, wait_for
from bareboat.controllers.statefulset.roll import Revised, Roll, waits
from bareboat.controllers.statefulset.storage import Storage
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import copy
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import ApiError
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.facts import Dependent, PodFacts
from bareboat.reconcile.informer import InformerFactory

HASH = "controller.kubernetes.io/hash"


class StatefulSetController(Controller):
    name = "statefulset-controller"
    workers = 4

    def __init__(self, context: ControllerContext) -> None:
        self._written = Written()
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._sets = self.watch(informers.of(apps_v1.StatefulSet))
        self._claims = PodClaims(self.client, informers, self._sets, lambda s: from_label_selector(s.spec.selector))
        self.watch(self._claims.pods, self._claims.owners_of, PodFacts)
        self._revisions = Revisions(self.client, informers, apps_v1.StatefulSet, HASH)
        self._needs.append(self._revisions.informer)
        volumes = informers.of(core_v1.PersistentVolumeClaim)
        self.watch(volumes, self._pod_owner, Dependent)
        self._storage = Storage(self.client, volumes, self._claims.resource, self.events)

    def _pod_owner(self, _key: str, claim: Dependent) -> Iterable[str]:
        """A claim that waits for its pod to go holds up the next one."""
        meta = claim.metadata
        return [f"{meta.namespace}/{parent_and_ordinal(o.name)[0]}" for o in meta.ownerReferences if o.kind == "Pod"]

    async def reconcile(self, key: str) -> float | None:
        owner = self._sets.get(key)
        if owner is None:
            self._written.forget(key)
            self.note_size(key, 0)
            return None
        if self._written.stale(owner):
            return 0.05
        claimed = await self._claims.claim(owner)
        self.note_size(key, len(claimed))
        pods = [p for p in claimed if parent_and_ordinal(p.metadata.name)[0] == owner.metadata.name]
        known = await self._revisions.of(owner)
        update, collisions = await self._revisions.newest(owner, known, owner.status.collisionCount or 0)
        current = next((r for r in known if r.metadata.name == owner.status.currentRevision), update)
        revised = Revised(current, update)
        now = self.clock.now().timestamp()
        roll = Roll(self.client, self.events, self._storage, self._claims.resource, lambda p: self._is_available(owner, p))
        roll.begin(owner, revised, pods)
        error: ApiError | None = None
        if not owner.metadata.deletionTimestamp:
            try:
                await roll.run()
            except ApiError as failure:
                error = failure
        await self._write_status(owner, revised, roll.pods, collisions)
        if error is not None:
            raise error
        live = {current.metadata.name, update.metadata.name, *(revision_of(p) for p in pods)}
        await self._revisions.truncate(owner, known, live)
        return min(waits(owner, roll.pods, now), default=None)

    def _is_available(self, owner: Any, pod: core_v1.Pod) -> bool:
        return wait_for(pod, owner.spec.minReadySeconds, self.clock.now().timestamp()) == 0.0

    async def _write_status(self, owner: Any, revised: Revised, pods: list[core_v1.Pod], collisions: int | None) -> None:
        status = copy(owner.status)
        current, update = revised.current.metadata.name, revised.update.metadata.name
        present = [revision_of(p) for p in pods if not p.metadata.deletionTimestamp]
        status.observedGeneration = owner.metadata.generation
        status.replicas = len(pods)
        status.readyReplicas = sum(1 for p in pods if is_running_and_ready(p))
        status.availableReplicas = sum(1 for p in pods if self._is_available(owner, p))
        status.currentReplicas, status.updatedReplicas = present.count(current), present.count(update)
        status.currentRevision, status.updateRevision = current, update
        status.collisionCount = collisions
        wanted = owner.spec.replicas or 0
        complete = status.updatedReplicas == status.readyReplicas == status.replicas == wanted
        if owner.spec.updateStrategy.type == "RollingUpdate" and complete:
            status.currentReplicas, status.currentRevision = status.updatedReplicas, update
        if status != owner.status:
            owner.status = status
            self._written.note(await self.client.update(owner, subresource="status"))
