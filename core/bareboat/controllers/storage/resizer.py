"""Claims that ask for more: the driver grows the volume, and the node's agent what is mounted of it.

What comes in: bound claims that request more than their volume has. What goes out: the driver's call, the PersistentVolume's new capacity,
and the claim's conditions: ``Resizing``, and ``FileSystemResizePending`` until the node has done its half.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts import csi, csi_checks
from bareboat.contracts.errors import DriverError
from bareboat.controllers.storage import requests
from bareboat.controllers.storage.seat import Seat
from bareboat.models import core_v1
from bareboat.models.meta import set_condition
from bareboat.models.quantity import Quantity
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import InformerFactory

Claim = core_v1.PersistentVolumeClaim
RETRY = 10.0
RESIZING, PENDING = "Resizing", "FileSystemResizePending"


class Resizer(Controller):
    name = "csi-resizer"

    def __init__(self, context: ControllerContext, seat: Seat) -> None:
        self._seat = seat
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._claims = self.watch(informers.of(Claim))
        self._volumes = informers.of(core_v1.PersistentVolume)
        self._needs += [self._volumes]

    async def reconcile(self, key: str) -> float | None:
        claim = self._claims.get(key)
        if claim is None or claim.status.phase != "Bound" or claim.metadata.deletionTimestamp:
            return None
        volume = self._volumes.get(f"/{claim.spec.volumeName}")
        if volume is None or volume.spec.csi is None or volume.spec.csi.driver != self._seat.name:
            return None
        wanted = _bytes(claim.spec.resources.requests)
        if wanted <= _bytes(claim.status.capacity) or not self._seat.driver.capabilities.expansion:
            return None
        if not self._seat.reaches(volume):
            return RETRY if not self._seat.local else None
        if wanted <= _bytes(volume.spec.capacity):
            await self._told_node(claim)
            return None
        return await self._expand(claim, volume, wanted)

    async def _told_node(self, claim: Claim) -> None:
        if not any(c.type == PENDING for c in claim.status.conditions) and self._seat.driver.capabilities.node_expansion:
            await self._pend(claim)

    async def _expand(self, claim: Claim, volume: core_v1.PersistentVolume, wanted: int) -> float | None:
        assert volume.spec.csi is not None
        name = volume.metadata.name
        self.events.event(claim, "Normal", "Resizing", f"External resizer is resizing volume {name}")
        claim = await self._mark(claim, RESIZING, "", "ControllerResizeInProgress", wanted)
        try:
            secrets = await requests.expansion_secrets(self.client, volume)
            wish = csi.VolumeCapability(
                access_mode=csi_checks.access_mode(
                    volume.spec.accessModes, precise=self._seat.driver.capabilities.single_node_multi_writer
                ),
                block=volume.spec.volumeMode == "Block",
                fs_type="" if volume.spec.volumeMode == "Block" else volume.spec.csi.fsType,
            )
            grown = await self._seat.driver.controller_expand_volume(
                volume.spec.csi.volumeHandle, csi.CapacityRange(required=wanted), wish, secrets
            )
        except (requests.NotPossible, DriverError) as error:
            told = f"{error.reason}: {error.message}" if isinstance(error, DriverError) else str(error)
            self.events.event(
                claim, "Warning", "VolumeResizeFailed", f'resize volume "{name}" by resizer "{self._seat.name}" failed: {told}'
            )
            return RETRY
        size = str(Quantity.of_bytes(grown.capacity_bytes))
        await self.client.patch(core_v1.PersistentVolume, name, {"spec": {"capacity": {"storage": size}}})
        if grown.node_expansion_required:
            await self._pend(claim)
        else:
            await self._done(claim, size)
        return None

    async def _pend(self, claim: Claim) -> None:
        message = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."
        self.events.event(claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node")
        await self._mark(claim, PENDING, message, "NodeResizePending", 0)

    async def _mark(self, claim: Claim, kind: str, message: str, progress: str, wanted: int) -> Claim:
        status, now = claim.status, self.clock.timestamp()
        status.conditions = [c for c in status.conditions if c.type not in (RESIZING, PENDING) or c.type == kind]
        set_condition(status.conditions, kind, "True", "", message, now, cls=core_v1.PersistentVolumeClaimCondition)
        status.allocatedResourceStatuses = {**status.allocatedResourceStatuses, "storage": progress}
        if wanted:
            status.allocatedResources = {**status.allocatedResources, "storage": str(Quantity.of_bytes(wanted))}
        return await self.client.update(claim, subresource="status")

    async def _done(self, claim: Claim, size: str) -> None:
        status: Any = claim.status
        status.capacity = {**status.capacity, "storage": size}
        status.conditions = [c for c in status.conditions if c.type not in (RESIZING, PENDING)]
        status.allocatedResourceStatuses = {k: v for k, v in status.allocatedResourceStatuses.items() if k != "storage"}
        await self.client.update(claim, subresource="status")
        self.events.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")


def _bytes(amounts: dict[str, str]) -> int:
    return Quantity.parse(amounts.get("storage", "0")).value()
