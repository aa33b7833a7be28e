"""The claims of a pod: made from the set's templates, owned by the set or the pod as the retention policy says."""

from __future__ import annotations

from typing import Any

from bareboat.client.client import Client
from bareboat.controllers.statefulset.identity import claim_name, first_ordinal, ordinal_of
from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import copy
from bareboat.models.meta import owner_reference
from bareboat.models.scheme import Resource
from bareboat.models.status import AlreadyExists, ApiError
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import Informer


class Storage:
    def __init__(self, client: Client, claims: Informer[core_v1.PersistentVolumeClaim], resource: Resource, events: EventRecorder) -> None:
        self._client = client
        self._claims = claims
        self._resource = resource
        self._pods = client.scheme.by_type(core_v1.Pod)
        self._events = events

    async def create_missing(self, owner: Any, pod: core_v1.Pod) -> None:
        for template in owner.spec.volumeClaimTemplates:
            name = claim_name(owner, template, ordinal_of(pod))
            found = self._claims.get(f"{owner.metadata.namespace}/{name}")
            if found is None:
                await self._create(owner, pod, template, name)
            elif found.metadata.deletionTimestamp:
                self._events.event(owner, "Warning", "FailedCreate", f"pvc {name} is being deleted")

    async def _create(self, owner: Any, pod: core_v1.Pod, template: Any, name: str) -> None:
        claim = core_v1.PersistentVolumeClaim(spec=copy(template.spec))
        claim.metadata = meta_v1.ObjectMeta(
            name=name,
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, **owner.spec.selector.matchLabels},
            annotations=dict(template.metadata.annotations),
        )
        self._own(owner, pod, claim)
        where = f"Claim {name} Pod {pod.metadata.name} in StatefulSet {owner.metadata.name}"
        try:
            await self._client.create(claim)
        except AlreadyExists:
            return
        except ApiError as error:
            self._events.event(owner, "Warning", "FailedCreate", f"create {where} failed error: {error}")
            raise
        self._events.event(owner, "Normal", "SuccessfulCreate", f"create {where} success")

    def is_stale(self, owner: Any, pod: core_v1.Pod) -> bool:
        """Whether a claim still belongs to an earlier pod of the name and is about to go with it."""
        for claim in self._of(owner, pod):
            for reference in claim.metadata.ownerReferences:
                if reference.kind == "Pod" and reference.name == pod.metadata.name and reference.uid != pod.metadata.uid:
                    return True
        return False

    async def retain(self, owner: Any, pod: core_v1.Pod) -> None:
        """Bring the owners of the pod's claims in line with the policy."""
        for claim in self._of(owner, pod):
            if not claim.metadata.deletionTimestamp and self._own(owner, pod, claim):
                await self._client.update(claim)

    def _of(self, owner: Any, pod: core_v1.Pod) -> list[core_v1.PersistentVolumeClaim]:
        names = [claim_name(owner, t, ordinal_of(pod)) for t in owner.spec.volumeClaimTemplates]
        return [c for n in names if (c := self._claims.get(f"{owner.metadata.namespace}/{n}")) is not None]

    def _own(self, owner: Any, pod: core_v1.Pod, claim: core_v1.PersistentVolumeClaim) -> bool:
        policy, start = owner.spec.persistentVolumeClaimRetentionPolicy, first_ordinal(owner)
        when_deleted = policy is not None and policy.whenDeleted == "Delete"
        when_scaled = policy is not None and policy.whenScaled == "Delete"
        scaled_down = not start <= ordinal_of(pod) < start + (owner.spec.replicas or 0)
        by_pod = when_scaled and scaled_down
        changed = self._set(claim, owner, self._resource, when_deleted and not by_pod)
        return self._set(claim, pod, self._pods, by_pod) or changed

    @staticmethod
    def _set(claim: core_v1.PersistentVolumeClaim, owner: Any, resource: Resource, wanted: bool) -> bool:
        references = claim.metadata.ownerReferences
        others = [r for r in references if not (r.kind == resource.kind and r.name == owner.metadata.name)]
        if wanted and not owner.metadata.uid:
            return False
        updated = [*others, owner_reference(owner, resource)] if wanted else others
        claim.metadata.ownerReferences = updated
        return updated != references
