"""Which volumes are to be attached where: VolumeAttachments for pods that have a node, gone when the node has let go of them.

What comes in: pods, claims, volumes, CSIDrivers. What goes out: VolumeAttachments, which the driver's attacher carries out. A volume for
one node is not wanted on a second one before the first has let go. Keys are volumes (``/name``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from bareboat.controllers.volumes.protection import claims_of
from bareboat.models import core_v1, meta_v1, storage_v1
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

Attachment = storage_v1.VolumeAttachment
ENDED = ("Succeeded", "Failed")
_NAME = re.compile("csi-[0-9a-f]{64}")
#: Seconds between looks at a node that has yet to let go.
LOOK = 2.0


def _of_volume(attachment: Attachment) -> Iterable[str]:
    name = attachment.spec.source.persistentVolumeName
    return (f"/{name}",) if name else ()


class AttachDetachController(Controller):
    name = "attachdetach-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("claim", claims_of, PodFacts)
        self._claims = self.watch(informers.of(core_v1.PersistentVolumeClaim), self._bound)
        self._volumes = self.watch(informers.of(core_v1.PersistentVolume))
        self._nodes = informers.of(core_v1.Node)
        self._drivers = informers.of(storage_v1.CSIDriver)
        self._attachments = informers.of(Attachment)
        self._attachments.add_index("volume", _of_volume)
        self.watch(self._attachments, lambda _key, attachment: _of_volume(attachment))
        self._needs += [self._nodes, self._drivers]
        self.watch(self._pods, self._of_pod, PodFacts)

    def _bound(self, _key: str, claim: core_v1.PersistentVolumeClaim) -> Iterable[str]:
        return (f"/{claim.spec.volumeName}",) if claim.spec.volumeName else ()

    def _of_pod(self, _key: str, pod: PodFacts) -> Iterable[str]:
        found = [self._claims.get(key) for key in claims_of(pod)]
        return [f"/{c.spec.volumeName}" for c in found if c is not None and c.spec.volumeName]

    async def reconcile(self, key: str) -> float | None:
        volume = self._volumes.get(key)
        there = [a for name in self._attachments.by_index("volume", key) if (a := self._attachments.get(name)) is not None]
        wanted = self._wanted(volume) if volume is not None else {}
        waits = False
        for attachment in there:
            if attachment.spec.nodeName not in wanted and attachment.metadata.deletionTimestamp is None and _is_ours(attachment):
                waits = not await self._detach(attachment, volume) or waits
        if volume is None:
            return LOOK if waits else None
        held = {a.spec.nodeName for a in there}
        for node, pod in sorted(wanted.items(), key=lambda item: item[0]):
            if node in held:
                continue
            if held and _exclusive(volume):
                self._refuse(pod, volume)
                waits = True
            else:
                await self._attach(volume, node)
                held.add(node)
        return LOOK if waits else None

    def _wanted(self, volume: core_v1.PersistentVolume) -> dict[str, core_v1.Pod]:
        """A pod per node that needs the volume there."""
        reference = volume.spec.claimRef
        if volume.spec.csi is None or reference is None:
            return {}
        rules = self._drivers.get(f"/{volume.spec.csi.driver}")
        if rules is not None and rules.spec.attachRequired is False:
            return {}
        claim = self._claims.get(f"{reference.namespace}/{reference.name}")
        if claim is None or claim.spec.volumeName != volume.metadata.name:
            return {}
        pods = [self._pods.get(k) for k in self._pods.by_index("claim", f"{reference.namespace}/{reference.name}")]
        return {p.spec.nodeName: p for p in pods if p is not None and p.status.phase not in ENDED}

    async def _attach(self, volume: core_v1.PersistentVolume, node: str) -> None:
        source = volume.spec.csi
        assert source is not None
        name = f"csi-{hashlib.sha256(f'{source.volumeHandle}{source.driver}{node}'.encode()).hexdigest()}"
        spec = storage_v1.VolumeAttachmentSpec(
            attacher=source.driver, nodeName=node, source=storage_v1.VolumeAttachmentSource(persistentVolumeName=volume.metadata.name)
        )
        try:
            await self.client.create(Attachment(metadata=meta_v1.ObjectMeta(name=name), spec=spec))
        except AlreadyExists:
            return

    async def _detach(self, attachment: Attachment, volume: core_v1.PersistentVolume | None) -> bool:
        """False while the node still has it mounted."""
        node = self._nodes.get(f"/{attachment.spec.nodeName}")
        source = volume.spec.csi if volume is not None else None
        used = f"kubernetes.io/csi/{source.driver}^{source.volumeHandle}" if source is not None else ""
        if node is not None and not _is_lost(node) and used in node.status.volumesInUse:
            return False
        try:
            await self.client.delete(Attachment, attachment.metadata.name, uid=attachment.metadata.uid)
        except NotFound:
            return True
        return True

    def _refuse(self, pod: core_v1.Pod, volume: core_v1.PersistentVolume) -> None:
        message = f'Multi-Attach error for volume "{volume.metadata.name}" Volume is already used by pod(s) on another node'
        self.events.event(pod, "Warning", "FailedAttachVolume", message)


def _is_ours(attachment: Attachment) -> bool:
    """Others may keep attachments of their own: those are theirs to remove."""
    return _NAME.fullmatch(attachment.metadata.name) is not None


def _exclusive(volume: core_v1.PersistentVolume) -> bool:
    return not {"ReadWriteMany", "ReadOnlyMany"} & set(volume.spec.accessModes)


def _is_lost(node: Any) -> bool:
    """Somebody has said that the machine is off for good."""
    return any(t.key == "node.kubernetes.io/out-of-service" for t in node.spec.taints)
