"""Claims and volumes in one queue. Keys are claims (``ns/name``) and volumes (``/name``)."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.controllers.volumes.claims import BY_US, SELECTED_NODE, Claims
from bareboat.models import core_v1, storage_v1
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
Volume = core_v1.PersistentVolume


def _wanted_claim(volume: Volume) -> Iterable[str]:
    """Index: the claim that the volume is reserved for."""
    reference = volume.spec.claimRef
    return (f"{reference.namespace}/{reference.name}",) if reference is not None else ()


class PersistentVolumeBinder(Controller):
    name = "persistent-volume-binder"
    workers = 1  # two claims must not be given the same volume

    def setup(self, informers: InformerFactory) -> None:
        self._claims = self.watch(informers.of(core_v1.PersistentVolumeClaim), self._claim_and_volume)
        self._volumes = self.watch(informers.of(Volume), self._volume_and_claims)
        classes = informers.of(storage_v1.StorageClass)
        self.watch(classes, lambda _key, _class: self._waiting())
        self._claiming = Claims(self.client, self.events, self._volumes, classes)

    def _claim_and_volume(self, key: str, claim: core_v1.PersistentVolumeClaim) -> Iterable[str]:
        return [key, *([f"/{claim.spec.volumeName}"] if claim.spec.volumeName else [])]

    def _volume_and_claims(self, key: str, volume: Volume) -> Iterable[str]:
        """A free volume may be what any waiting claim waits for."""
        return [key, *(_wanted_claim(volume) or self._waiting())]

    def _waiting(self) -> list[str]:
        return [k for k in self._claims.keys() if b'"phase":"Bound"' not in (self._claims.raw(k) or b"")]  # noqa: SIM118

    async def reconcile(self, key: str) -> float | None:
        if key.startswith("/"):
            volume = self._volumes.get(key)
            if volume is not None:
                await self._sync_volume(volume)
            return None
        claim = self._claims.get(key)
        if claim is None:
            return None
        await self._claiming.sync(claim)
        return 15.0 if claim.status.phase == "Pending" and SELECTED_NODE in claim.metadata.annotations else None

    async def _sync_volume(self, volume: Volume) -> None:
        reference = volume.spec.claimRef
        if reference is None or not reference.uid:
            if volume.status.phase not in ("Released", "Failed"):
                await self._phase(volume, "Available")
            return
        claim = self._claims.get(f"{reference.namespace}/{reference.name}")
        if claim is None and volume.status.phase not in ("Released", "Failed"):
            claim = await self._ask(reference)
        if claim is None or claim.metadata.uid != reference.uid:
            await self._release(volume)
        elif claim.spec.volumeName == volume.metadata.name:
            await self._phase(volume, "Bound")
        elif claim.spec.volumeName:
            await self._let_go(volume)

    async def _ask(self, reference: core_v1.ObjectReference) -> core_v1.PersistentVolumeClaim | None:
        """Never release on a guess."""
        try:
            return await self.client.get(core_v1.PersistentVolumeClaim, reference.name, reference.namespace)
        except NotFound:
            return None

    async def _let_go(self, volume: Volume) -> None:
        """Its claim has taken another volume."""
        if volume.metadata.annotations.get(BY_US) == "yes":
            volume.spec.claimRef = None
            volume.metadata.annotations = {k: v for k, v in volume.metadata.annotations.items() if k != BY_US}
        elif volume.spec.claimRef is not None:
            volume.spec.claimRef.uid = ""
        await self._phase(await self.client.update(volume), "Available")

    async def _release(self, volume: Volume) -> None:
        if volume.status.phase not in ("Released", "Failed"):
            volume = await self._phase(volume, "Released")
        if volume.spec.persistentVolumeReclaimPolicy != "Delete" or volume.metadata.deletionTimestamp:
            return
        if volume.spec.csi is not None or PROVISIONED_BY in volume.metadata.annotations:
            return  # whoever made it deletes it
        if volume.status.phase != "Failed":
            message = f'error getting deleter volume plugin for volume "{volume.metadata.name}": no deletable volume plugin matched'
            self.events.event(volume, "Warning", "VolumeFailedDelete", message)
            await self._phase(volume, "Failed", message)

    async def _phase(self, volume: Volume, phase: str, message: str = "") -> Volume:
        if volume.status.phase == phase:
            return volume
        volume.status.lastPhaseTransitionTime = self.clock.timestamp()
        volume.status.phase, volume.status.message = phase, message
        return await self.client.update(volume, subresource="status")
