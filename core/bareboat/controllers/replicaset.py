"""ReplicaSet and ReplicationController: as many pods as wanted, adopting and releasing by selector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from bareboat.controllers.pods import (
    available_in,
    create_pods,
    delete_pods,
    deletion_rank,
    is_active,
    is_ready,
    owner_uid,
    pod_from_template,
)
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import copy, to_tree
from bareboat.models.meta import controller_of, key, owner_reference
from bareboat.models.selectors import Selector, from_label_selector, from_labels
from bareboat.models.status import ApiError, NotFound
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.expectations import Expectations
from bareboat.reconcile.informer import InformerFactory

#: Pods created or deleted in one reconcile at most.
BURST = 500


class Replicas(Controller):
    """Shared by both kinds; they differ in class, selector and template."""

    cls: ClassVar[Any]
    workers = 4

    def __init__(self, context: ControllerContext) -> None:
        self._expectations = Expectations(context.clock)
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._sets = self.watch(informers.of(self.cls))
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("owner", owner_uid)
        self._pods.add_index("namespace", lambda pod: (pod.metadata.namespace,))
        self._resource = self.client.scheme.by_type(self.cls)
        self._pods.on_change(self._observe)
        self.watch(self._pods, self._owners)

    def selector(self, owner: Any) -> Selector:
        raise NotImplementedError

    def _observe(self, _key: str, old: bytes | None, new: bytes | None) -> None:
        data = new if new is not None else old
        assert data is not None
        pod = msgspec.json.decode(data, type=_Owned)
        owner = next((o for o in pod.metadata.ownerReferences if o.controller and o.kind == self._resource.kind), None)
        if owner is None:
            return
        target = f"{pod.metadata.namespace}/{owner.name}"
        if old is None:
            self._expectations.created(target)
        elif new is None or pod.metadata.deletionTimestamp:
            self._expectations.deleted(target, pod.metadata.uid)

    def _owners(self, _key: str, pod: core_v1.Pod) -> Iterable[str]:
        owner = controller_of(pod.metadata)
        if owner is not None:
            return [f"{pod.metadata.namespace}/{owner.name}"] if owner.kind == self._resource.kind else []
        if pod.metadata.deletionTimestamp:
            return []
        return [key(s) for s in self._sets.list(pod.metadata.namespace) if self.selector(s).matches(pod.metadata.labels)]

    async def reconcile(self, key: str) -> float | None:
        owner = self._sets.get(key)
        if owner is None:
            self._expectations.forget(key)
            return None
        pods = await self._claim(owner)
        active = [p for p in pods if is_active(p)]
        error: BaseException | None = None
        if self._expectations.satisfied(key) and not owner.metadata.deletionTimestamp:
            try:
                await self._scale(key, owner, active)
            except ApiError as failure:
                error = failure
        again = await self._write_status(owner, active, pods)
        if error is not None:
            raise error
        return again

    async def _claim(self, owner: Any) -> list[core_v1.Pod]:
        """The pods of the owner; orphans that match are adopted, own ones that no longer match are released."""
        selector = self.selector(owner)
        mine = [p for k in self._pods.by_index("owner", owner.metadata.uid) if (p := self._pods.get(k)) is not None]
        claimed = []
        for pod in mine:
            if selector.matches(pod.metadata.labels) or owner.metadata.deletionTimestamp:
                claimed.append(pod)
            else:
                await self._set_owners(pod, [o for o in pod.metadata.ownerReferences if o.uid != owner.metadata.uid])
        if owner.metadata.deletionTimestamp or selector.empty:
            return claimed
        for candidate in self._orphans(owner.metadata.namespace):
            if selector.matches(candidate.metadata.labels):
                references = [*candidate.metadata.ownerReferences, owner_reference(owner, self._resource)]
                if await self._set_owners(candidate, references):
                    claimed.append(candidate)
        return claimed

    def _orphans(self, namespace: str) -> Iterable[core_v1.Pod]:
        for k in self._pods.by_index("namespace", namespace):
            data = self._pods.raw(k)
            if data is not None and b'"controller":true' not in data:
                pod = self._pods.get(k)
                if pod is not None and controller_of(pod.metadata) is None and is_active(pod):
                    yield pod

    async def _set_owners(self, pod: core_v1.Pod, references: list[Any]) -> bool:
        patch = {"metadata": {"uid": pod.metadata.uid, "ownerReferences": msgspec.to_builtins(references)}}
        try:
            await self.client.patch(core_v1.Pod, pod.metadata.name, patch, pod.metadata.namespace)
        except NotFound:
            return False
        return True

    async def _scale(self, key: str, owner: Any, active: list[core_v1.Pod]) -> None:
        missing = (1 if owner.spec.replicas is None else owner.spec.replicas) - len(active)
        if missing > 0:
            count = min(missing, BURST)
            self._expectations.expect(key, creations=count)
            try:
                made = await create_pods(
                    self.client, count, lambda _: pod_from_template(owner.spec.template, owner, self._resource), owner, self.events
                )
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
            await delete_pods(self.client, doomed, owner, self.events)

    async def _write_status(self, owner: Any, active: list[core_v1.Pod], pods: list[core_v1.Pod]) -> float | None:
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
        if status != owner.status:
            patch = {"metadata": {"uid": owner.metadata.uid}, "status": to_tree(status)}
            patch["status"] = {f: getattr(status, f) for f in _COUNTS if hasattr(status, f)}
            try:
                await self.client.patch(self.cls, owner.metadata.name, patch, owner.metadata.namespace, subresource="status")
            except NotFound:
                return None
        later = [w for w in waits if w]
        return min(later) + 0.1 if later else None


_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "observedGeneration")


class _Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class _OwnedMeta(msgspec.Struct):
    namespace: str = ""
    uid: str = ""
    deletionTimestamp: str | None = None
    ownerReferences: list[_Owner] = []


class _Owned(msgspec.Struct):
    metadata: _OwnedMeta


class ReplicaSetController(Replicas):
    name = "replicaset-controller"
    cls = apps_v1.ReplicaSet

    def selector(self, owner: Any) -> Selector:
        return from_label_selector(owner.spec.selector)


class ReplicationControllerController(Replicas):
    name = "replication-controller"
    cls = core_v1.ReplicationController

    def selector(self, owner: Any) -> Selector:
        return from_labels(owner.spec.selector)
