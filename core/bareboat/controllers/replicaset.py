"""ReplicaSet and ReplicationController: as many pods as wanted, adopting and releasing by selector."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from bareboat.controllers.claims import PodClaims
from bareboat.controllers.pods import (
    available_in,
    create_pods,
    delete_pods,
    deletion_rank,
    is_active,
    is_ready,
    pod_from_template,
)
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import copy, to_tree
from bareboat.models.meta import get_condition, set_condition
from bareboat.models.selectors import Selector, from_label_selector, from_labels
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.expectations import Expectations
from bareboat.reconcile.facts import PodFacts, Replica
from bareboat.reconcile.informer import InformerFactory

#: Pods created or deleted in one reconcile at most.
BURST = 500


class Replicas(Controller):
    """Shared by both kinds; they differ in class, selector and template."""

    cls: ClassVar[Any]
    condition: ClassVar[Any]
    workers = 4

    def __init__(self, context: ControllerContext) -> None:
        self._expectations = Expectations(context.clock)
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._sets = self.watch(informers.of(self.cls))
        self._claims = PodClaims(self.client, informers, self._sets, self.selector, candidate=is_active, view=Replica)
        self._claims.expect(self._expectations)
        self._resource = self._claims.resource
        self.watch(self._claims.pods, self._claims.owners_of, PodFacts)

    def selector(self, owner: Any) -> Selector:
        raise NotImplementedError

    async def reconcile(self, key: str) -> float | None:
        owner = self._sets.get(key)
        if owner is None:
            self._expectations.forget(key)
            self.note_size(key, 0)
            return None
        pods = await self._claims.claim(owner)
        active = [p for p in pods if is_active(p)]
        self.note_size(key, max(len(pods), owner.spec.replicas or 0))
        error: ApiError | None = None
        if self._expectations.satisfied(key) and not owner.metadata.deletionTimestamp:
            try:
                await self._scale(key, owner, active)
            except ApiError as failure:
                error = failure
        again = await self._write_status(owner, active, pods, error)
        if error is not None:
            raise error
        return again

    async def _scale(self, key: str, owner: Any, active: list[core_v1.Pod]) -> None:
        missing = (1 if owner.spec.replicas is None else owner.spec.replicas) - len(active)
        if missing > 0:
            count = min(missing, BURST)
            self._expectations.expect(key, creations=count)
            try:
                pod = pod_from_template(owner.spec.template, owner, self._resource)
                made = await create_pods(self.client, count, lambda _: pod, owner, self.events)
            except BaseException:
                self._expectations.forget(key)
                raise
            for _ in range(count - made):
                self._expectations.created(key)
            if missing > count:
                self.queue.add(key)
        elif missing < 0:
            crowd = Counter(p.spec.nodeName for p in active)
            doomed = sorted(active, key=lambda p: deletion_rank(p, crowd))[: min(-missing, BURST)]
            self._expectations.expect(key, deletions={p.metadata.uid for p in doomed})
            await delete_pods(self.client, doomed, owner, self.events, lambda uid: self._expectations.deleted(key, uid))

    async def _write_status(self, owner: Any, active: list[core_v1.Pod], pods: list[core_v1.Pod], error: ApiError | None) -> float | None:
        now = self.clock.now().timestamp()
        waits = [available_in(p, owner.spec.minReadySeconds, now) for p in active]
        status = copy(owner.status)
        status.replicas = len(active)
        template = from_labels(owner.spec.template.metadata.labels)
        status.fullyLabeledReplicas = sum(1 for p in active if template.matches(p.metadata.labels))
        status.readyReplicas = sum(1 for p in active if is_ready(p))
        status.availableReplicas = sum(1 for w in waits if w == 0.0)
        if hasattr(status, "terminatingReplicas"):
            status.terminatingReplicas = sum(1 for p in pods if p.metadata.deletionTimestamp)
        status.observedGeneration = owner.metadata.generation
        self._note_failure(owner, status, error)
        if status != owner.status:
            counts = {f: getattr(status, f) for f in _COUNTS if hasattr(status, f)}
            conditions = to_tree(status).get("conditions")
            patch = {"metadata": {"uid": owner.metadata.uid}, "status": {**counts, "conditions": conditions}}
            try:
                await self.client.patch(self.cls, owner.metadata.name, patch, owner.metadata.namespace, subresource="status")
            except NotFound:
                return None
        later = [w for w in waits if w]
        return min(later) + 0.1 if later else None

    def _note_failure(self, owner: Any, status: Any, error: ApiError | None) -> None:
        """ReplicaFailure while pods cannot be made or deleted; the condition goes when they can."""
        known = get_condition(status.conditions, "ReplicaFailure")
        if error is None:
            status.conditions = [c for c in status.conditions if c.type != "ReplicaFailure"]
        elif known is None:
            reason = "FailedDelete" if status.replicas > (owner.spec.replicas or 0) else "FailedCreate"
            set_condition(status.conditions, "ReplicaFailure", "True", reason, str(error), self.clock.timestamp(), cls=self.condition)


_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "observedGeneration")


class ReplicaSetController(Replicas):
    name = "replicaset-controller"
    cls = apps_v1.ReplicaSet
    condition = apps_v1.ReplicaSetCondition

    def selector(self, owner: Any) -> Selector:
        return from_label_selector(owner.spec.selector)


class ReplicationControllerController(Replicas):
    name = "replication-controller"
    cls = core_v1.ReplicationController
    condition = core_v1.ReplicationControllerCondition

    def selector(self, owner: Any) -> Selector:
        return from_labels(owner.spec.selector)
