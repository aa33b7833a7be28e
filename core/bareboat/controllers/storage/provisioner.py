"""Volumes on demand: a claim of one of the driver's StorageClasses gets a volume, and a volume nobody claims any more goes.

What comes in: claims that wait (marked by the binder with the provisioner's name), and released volumes. What goes out: calls of the
driver, PersistentVolumes, and Events with the driver's own reason. Keys are claims (``ns/name``) and volumes (``/name``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.contracts import csi
from bareboat.contracts.errors import DriverError, Exhausted
from bareboat.controllers.storage import requests
from bareboat.controllers.storage.placing import Placing
from bareboat.controllers.storage.seat import Seat
from bareboat.models import core_v1, storage_v1
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.models.volume_fit import class_of_claim
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import InformerFactory

PROVISIONER, PROVISIONED_BY = "volume.kubernetes.io/storage-provisioner", "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
Claim = core_v1.PersistentVolumeClaim
#: Seconds until a driver is asked again; it answers at once what it has done meanwhile.
RETRY = 5.0


class Provisioner(Controller):
    name = "csi-provisioner"

    def __init__(self, context: ControllerContext, seat: Seat) -> None:
        self._seat = seat
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._claims = self.watch(informers.of(Claim))
        self._volumes = self.watch(informers.of(core_v1.PersistentVolume))
        self._classes = informers.of(storage_v1.StorageClass)
        self._nodes, self._csi_nodes = informers.of(core_v1.Node), informers.of(storage_v1.CSINode)
        capacities = informers.of(storage_v1.CSIStorageCapacity)
        self.watch(self._classes, lambda _key, _class: self._waiting())
        self._needs += [self._nodes, self._csi_nodes, capacities]
        self._placing = Placing(self._seat, self._nodes, self._csi_nodes, capacities)

    def _waiting(self) -> Iterable[str]:
        return [k for k in self._claims.keys() if b'"volumeName":"' not in (self._claims.raw(k) or b"")]  # noqa: SIM118

    async def background(self) -> None:
        """Who gets the Lease looks at everything."""
        led = False
        while True:
            await self.clock.sleep(1.0)
            if self._seat.leads and not led:
                for key in (*self._claims.keys(), *self._volumes.keys()):
                    self.queue.add(key)
            led = self._seat.leads

    async def reconcile(self, key: str) -> float | None:
        if key.startswith("/"):
            volume = self._volumes.get(key)
            return await self._sync_volume(volume) if volume is not None else None
        claim = self._claims.get(key)
        if claim is None or claim.spec.volumeName or claim.metadata.deletionTimestamp:
            return None
        if claim.metadata.annotations.get(PROVISIONER) != self._seat.name:
            return None
        found = self._classes.get(f"/{class_of_claim(claim)}")
        return await self._sync_claim(claim, found) if found is not None and found.provisioner == self._seat.name else None

    async def _sync_claim(self, claim: Claim, found: storage_v1.StorageClass) -> float | None:
        """Here, if it is this agent's to do."""
        chosen = claim.metadata.annotations.get(SELECTED_NODE, "")
        if not chosen and found.volumeBindingMode == "WaitForFirstConsumer":
            return None
        if self._seat.local and not chosen:
            return await self._choose(claim, found) if self._seat.leads else None
        if (chosen != self._seat.node) if self._seat.local else not self._seat.leads:
            return None
        return await self._provision(claim, found, chosen)

    async def _choose(self, claim: Claim, found: storage_v1.StorageClass) -> float | None:
        """A claim that waits for no pod gets the node with the most room."""
        node = self._placing.roomiest(found)
        if not node:
            self._failed(claim, found, "no node has the driver and is in the allowed topologies")
            return RETRY
        await self._annotate(claim, node)
        return None

    async def _annotate(self, claim: Claim, node: str | None) -> None:
        change = {"metadata": {"annotations": {SELECTED_NODE: node}, "uid": claim.metadata.uid}}
        await self.client.patch(Claim, claim.metadata.name, change, claim.metadata.namespace)

    async def _provision(self, claim: Claim, found: storage_v1.StorageClass, chosen: str) -> float | None:
        meta, driver = claim.metadata, self._seat.driver
        if not driver.capabilities.provisioning:
            self._failed(claim, found, "the driver makes no volumes")
            return None
        self._event(
            claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{meta.namespace}/{meta.name}"'
        )
        try:
            topology = self._placing.requirement(found, chosen)
            request = await requests.create(self.client, claim, found, driver.capabilities, topology)
            made = await driver.create_volume(request)
        except Exhausted as error:
            self._failed(claim, found, f"{error.reason}: {error.message}")
            if chosen:  # another node may have what this one has not
                await self._annotate(claim, None)
            return RETRY
        except (requests.NotPossible, DriverError) as error:
            told = f"{error.reason}: {error.message}" if isinstance(error, DriverError) else str(error)
            self._failed(claim, found, told)
            return RETRY if not getattr(error, "terminal", False) else 6 * RETRY
        await self._publish(claim, found, request, made)
        return None

    async def _publish(self, claim: Claim, found: storage_v1.StorageClass, request: csi.CreateVolume, made: csi.Volume) -> None:
        volume = requests.volume(claim, found, request, made, self._seat.name)
        volume.metadata.finalizers = [FINALIZER]
        volume.metadata.annotations = {PROVISIONED_BY: self._seat.name, **requests.deletion_notes(found, claim)}
        try:
            await self.client.create(volume)
        except AlreadyExists:
            return
        self._event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {volume.metadata.name}")

    def _failed(self, claim: Claim, found: storage_v1.StorageClass, why: str) -> None:
        self._event(claim, "Warning", "ProvisioningFailed", f'failed to provision volume with StorageClass "{found.metadata.name}": {why}')

    def _event(self, about: Any, kind: Any, reason: str, message: str) -> None:
        self.events.event(about, kind, reason, message)

    async def _sync_volume(self, volume: core_v1.PersistentVolume) -> float | None:
        """Delete what was made for a claim that is gone."""
        source = volume.spec.csi
        if source is None or source.driver != self._seat.name or volume.metadata.annotations.get(PROVISIONED_BY) != self._seat.name:
            return None
        if not self._seat.reaches(volume):
            return None
        going = volume.metadata.deletionTimestamp is not None
        if volume.spec.persistentVolumeReclaimPolicy != "Delete":
            if going:
                await self._let_go(volume)
            return None
        if volume.status.phase not in ("Released", "Failed") and not (going and volume.status.phase != "Bound"):
            return None
        return await self._delete(volume, source.volumeHandle)

    async def _delete(self, volume: core_v1.PersistentVolume, volume_id: str) -> float | None:
        try:
            secrets = await requests.deletion_secrets(self.client, volume)
            await self._seat.driver.delete_volume(volume_id, secrets)
        except (requests.NotPossible, DriverError) as error:
            told = f"{error.reason}: {error.message}" if isinstance(error, DriverError) else str(error)
            if getattr(error, "reason", "") != "VolumeInUse":
                self._event(volume, "Warning", "VolumeFailedDelete", told)
            return RETRY / 5 if getattr(error, "reason", "") == "VolumeInUse" else RETRY
        await self._let_go(volume)
        try:
            await self.client.delete(core_v1.PersistentVolume, volume.metadata.name, uid=volume.metadata.uid)
        except NotFound:
            return None
        return None

    async def _let_go(self, volume: core_v1.PersistentVolume) -> None:
        if FINALIZER in volume.metadata.finalizers:
            volume.metadata.finalizers = [f for f in volume.metadata.finalizers if f != FINALIZER]
            await self.client.update(volume)
