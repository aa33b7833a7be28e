"""A claim: find its volume, wait for one, or see that the one it had is lost."""

from __future__ import annotations

from typing import Any

from bareboat.client.client import Client
from bareboat.models import core_v1, storage_v1
from bareboat.models.codec import copy
from bareboat.models.volume_fit import best, class_of_claim, misfit, refers_to
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import Informer

BOUND, BY_US = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER, PROVISIONER_BETA = "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
Claim = core_v1.PersistentVolumeClaim


class Claims:
    def __init__(
        self,
        client: Client,
        events: EventRecorder,
        volumes: Informer[core_v1.PersistentVolume],
        classes: Informer[storage_v1.StorageClass],
    ) -> None:
        self._client = client
        self._events = events
        self._volumes = volumes
        self._classes = classes

    async def sync(self, claim: Claim) -> None:
        if BOUND in claim.metadata.annotations:
            await self._sync_bound(claim)
        elif claim.spec.volumeName:
            await self._sync_chosen(claim)
        elif not claim.metadata.deletionTimestamp:
            await self._sync_free(claim)

    async def _sync_bound(self, claim: Claim) -> None:
        volume = self._volumes.get(f"/{claim.spec.volumeName}")
        if not claim.spec.volumeName:
            await self._lose(claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
        elif volume is None:
            await self._lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        elif volume.spec.claimRef is None or refers_to(volume, claim):
            await self._bind(claim, volume)
        else:
            await self._lose(claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")

    async def _sync_chosen(self, claim: Claim) -> None:
        """The claim names its volume."""
        volume = self._volumes.get(f"/{claim.spec.volumeName}")
        if volume is None:
            await self._phase(claim, "Pending")
        elif volume.spec.claimRef is not None and not refers_to(volume, claim):
            self._warn(claim, "FailedBinding", f'volume "{volume.metadata.name}" already bound to a different claim.')
            await self._phase(claim, "Pending")
        elif volume.spec.claimRef is None and (why := misfit(volume, claim)):
            message = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
            self._warn(claim, "VolumeMismatch", message)
            await self._phase(claim, "Pending")
        else:
            await self._bind(claim, volume)

    async def _sync_free(self, claim: Claim) -> None:
        claim = await self._with_default_class(claim)
        reserved = [v for v in self._volumes.list() if refers_to(v, claim)]
        if self._waits_for_consumer(claim) and not reserved:
            self._events.event(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
            await self._phase(claim, "Pending")
            return
        volume = best(self._volumes.list(), claim)
        if volume is not None:
            await self._bind(claim, volume)
            return
        await self._ask_for_volume(claim)
        await self._phase(claim, "Pending")

    def _class(self, claim: Claim) -> storage_v1.StorageClass | None:
        name = class_of_claim(claim)
        return self._classes.get(f"/{name}") if name else None

    def _waits_for_consumer(self, claim: Claim) -> bool:
        found = self._class(claim)
        return found is not None and found.volumeBindingMode == "WaitForFirstConsumer" and SELECTED_NODE not in claim.metadata.annotations

    async def _with_default_class(self, claim: Claim) -> Claim:
        """A claim from before there was a default class gets it now."""
        if claim.spec.storageClassName is not None or class_of_claim(claim):
            return claim
        defaults = [c for c in self._classes.list() if c.metadata.annotations.get(DEFAULT_CLASS) == "true"]
        if not defaults:
            return claim
        newest = max(defaults, key=lambda c: (c.metadata.creationTimestamp or "", c.metadata.name))
        claim.spec.storageClassName = newest.metadata.name
        return await self._client.update(claim)

    async def _ask_for_volume(self, claim: Claim) -> None:
        """Leave word for the provisioner of the claim's class, if it has one."""
        name, found = class_of_claim(claim), self._class(claim)
        if not name:
            message = "no persistent volumes available for this claim and no storage class is set"
            self._events.event(claim, "Normal", "FailedBinding", message)
        elif found is None:
            self._warn(claim, "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
        elif found.provisioner != NO_PROVISIONER:
            who = found.provisioner
            if claim.metadata.annotations.get(PROVISIONER) != who:
                claim.metadata.annotations = {**claim.metadata.annotations, PROVISIONER: who, PROVISIONER_BETA: who}
                written = await self._client.update(claim)
                claim.metadata.resourceVersion = written.metadata.resourceVersion
            message = f"Waiting for a volume to be created either by the external provisioner '{who}' or by the administrator."
            self._events.event(claim, "Normal", "ExternalProvisioning", message)

    async def _bind(self, claim: Claim, volume: core_v1.PersistentVolume) -> None:
        """Volume first: once it names the claim, no other claim can have it."""
        volume = await self._reserve(volume, claim)
        if volume.status.phase != "Bound":
            volume.status = core_v1.PersistentVolumeStatus(phase="Bound", lastPhaseTransitionTime=volume.status.lastPhaseTransitionTime)
            await self._client.update(volume, subresource="status")
        wanted = copy(claim)
        if not claim.spec.volumeName:
            wanted.spec.volumeName = volume.metadata.name
            wanted.metadata.annotations = {**wanted.metadata.annotations, BY_US: "yes"}
        wanted.metadata.annotations = {**wanted.metadata.annotations, BOUND: "yes"}
        if wanted.metadata.annotations != claim.metadata.annotations or wanted.spec != claim.spec:
            wanted = await self._client.update(wanted)
        status = copy(wanted.status)
        status.phase, status.accessModes = "Bound", list(volume.spec.accessModes)
        if wanted.status.phase != "Bound" or "storage" not in status.capacity:
            status.capacity = dict(volume.spec.capacity)
        status.currentVolumeAttributesClassName = volume.spec.volumeAttributesClassName or None
        if status != wanted.status:
            wanted.status = status
            await self._client.update(wanted, subresource="status")

    async def _reserve(self, volume: core_v1.PersistentVolume, claim: Claim) -> core_v1.PersistentVolume:
        reference = volume.spec.claimRef
        if reference is not None and reference.uid == claim.metadata.uid:
            return volume
        if reference is None:
            volume.metadata.annotations = {**volume.metadata.annotations, BY_US: "yes"}
        volume.spec.claimRef = _reference(claim)
        return await self._client.update(volume)

    async def _phase(self, claim: Claim, phase: str) -> None:
        if claim.status.phase != phase:
            claim.status.phase = phase
            await self._client.update(claim, subresource="status")

    async def _lose(self, claim: Claim, reason: str, message: str) -> None:
        if claim.status.phase != "Lost":
            claim.status.phase, claim.status.accessModes, claim.status.capacity = "Lost", [], {}
            await self._client.update(claim, subresource="status")
            self._warn(claim, reason, message)

    def _warn(self, claim: Claim, reason: str, message: str) -> None:
        self._events.event(claim, "Warning", reason, message)


def _reference(claim: Any) -> core_v1.ObjectReference:
    meta = claim.metadata
    return core_v1.ObjectReference(
        kind="PersistentVolumeClaim",
        apiVersion="v1",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )
