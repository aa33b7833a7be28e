"""VolumeAttachments carried out: the driver attaches what the attach-detach controller wants attached, and detaches before it goes.

What comes in: VolumeAttachments whose ``attacher`` is the driver. What goes out: the driver's call, and the attachment's status. A driver
that has nothing to attach is answered for at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.contracts import csi, csi_checks
from bareboat.contracts.errors import DriverError
from bareboat.contracts.errors import NotFound as UnknownVolume
from bareboat.controllers.storage import requests
from bareboat.controllers.storage.seat import Seat
from bareboat.models import core_v1, storage_v1
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import InformerFactory

Attachment = storage_v1.VolumeAttachment
RETRY = 2.0


class Attacher(Controller):
    name = "csi-attacher"

    def __init__(self, context: ControllerContext, seat: Seat) -> None:
        self._seat = seat
        self._finalizer = f"external-attacher/{seat.name.replace('.', '-')}"
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._attachments = self.watch(informers.of(Attachment))
        self._volumes = informers.of(core_v1.PersistentVolume)
        self._nodes = informers.of(storage_v1.CSINode)
        self._needs += [self._volumes]
        self.watch(self._nodes, self._of_node)

    def _of_node(self, _key: str, node: storage_v1.CSINode) -> Iterable[str]:
        return [f"/{a.metadata.name}" for a in self._attachments.list() if a.spec.nodeName == node.metadata.name]

    async def background(self) -> None:
        """Who gets the Lease looks at everything."""
        led = False
        while True:
            await self.clock.sleep(1.0)
            if self._seat.leads and not led:
                for key in self._attachments.keys():  # noqa: SIM118
                    self.queue.add(key)
            led = self._seat.leads

    async def reconcile(self, key: str) -> float | None:
        found = self._attachments.get(key)
        if found is None or found.spec.attacher != self._seat.name or not self._seat.leads:
            return None
        try:
            if found.metadata.deletionTimestamp is not None:
                await self._detach(found)
            elif not found.status.attached:
                await self._attach(found)
        except (requests.NotPossible, DriverError) as error:
            await self._complain(found, f"{error.reason}: {error.message}" if isinstance(error, DriverError) else str(error))
            return RETRY
        return None

    async def _attach(self, found: Attachment) -> None:
        volume = self._volumes.get(f"/{found.spec.source.persistentVolumeName}")
        if volume is None or volume.spec.csi is None:
            raise requests.NotPossible(f'persistentvolume "{found.spec.source.persistentVolumeName}" not found')
        if self._finalizer not in found.metadata.finalizers:
            found.metadata.finalizers = [*found.metadata.finalizers, self._finalizer]
            found = await self.client.update(found)
        answer = await self._publish(found, volume) if self._seat.driver.capabilities.attaching else {}
        found.status = storage_v1.VolumeAttachmentStatus(attached=True, attachmentMetadata=answer)
        await self.client.update(found, subresource="status")

    async def _publish(self, found: Attachment, volume: core_v1.PersistentVolume) -> dict[str, str]:
        source, driver = volume.spec.csi, self._seat.driver
        assert source is not None
        mode = csi_checks.access_mode(volume.spec.accessModes, precise=driver.capabilities.single_node_multi_writer)
        block = volume.spec.volumeMode == "Block"
        wish = csi.VolumeCapability(
            access_mode=mode,
            block=block,
            fs_type="" if block else source.fsType,
            mount_flags=() if block else tuple(volume.spec.mountOptions),
        )
        answer: dict[str, str] = await driver.controller_publish_volume(
            source.volumeHandle,
            self._node_id(found.spec.nodeName),
            wish,
            source.readOnly,
            dict(source.volumeAttributes),
            await requests.attaching_secrets(self.client, volume),
        )
        return answer

    def _node_id(self, name: str) -> str:
        node = self._nodes.get(f"/{name}")
        entry = next((d for d in node.spec.drivers if d.name == self._seat.name), None) if node is not None else None
        if entry is None:
            raise requests.NotPossible(f"node {name} has no driver {self._seat.name}")
        return entry.nodeID

    async def _detach(self, found: Attachment) -> None:
        if self._finalizer not in found.metadata.finalizers:
            return
        volume = self._volumes.get(f"/{found.spec.source.persistentVolumeName}")
        if self._seat.driver.capabilities.attaching and volume is not None and volume.spec.csi is not None:
            secrets = await requests.attaching_secrets(self.client, volume)
            try:
                await self._seat.driver.controller_unpublish_volume(
                    volume.spec.csi.volumeHandle, self._node_id(found.spec.nodeName), secrets
                )
            except UnknownVolume:  # gone: nothing is attached any more
                pass
        found.metadata.finalizers = [f for f in found.metadata.finalizers if f != self._finalizer]
        await self.client.update(found)

    async def _complain(self, found: Attachment, why: str) -> None:
        error: dict[str, Any] = {"time": self.clock.timestamp(), "message": why}
        where = "detachError" if found.metadata.deletionTimestamp is not None else "attachError"
        await self.client.patch(Attachment, found.metadata.name, {"status": {where: error}}, subresource="status")
