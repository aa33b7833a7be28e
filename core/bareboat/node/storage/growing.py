"""The node's half of an expansion: the file system of a mounted volume grows when its PersistentVolume has.

What comes in: a volume whose claim is behind. What goes out: a driver's call, and the claim's status that says so.
"""

from __future__ import annotations

from typing import Any

from bareboat.client.client import Client
from bareboat.contracts import csi
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.node.mount_errors import MountFailed
from bareboat.node.storage.wanted import Wanted, capability
from bareboat.reconcile.events import EventRecorder

#: Conditions of a claim that are over with the expansion.
RESIZING = ("Resizing", "FileSystemResizePending", "ControllerResizeError", "NodeResizeError")


class Growing:
    def __init__(self, client: Client, events: EventRecorder) -> None:
        self._client = client
        self._events = events

    async def follow(self, pod: core_v1.Pod, found: Wanted, driver: Any, path: str) -> None:
        """Raises MountFailed if the driver cannot; the volume stays usable as it is."""
        if not found.claim or found.claimed >= found.capacity:
            return
        namespace, _, name = found.claim.partition("/")
        claim = await self._client.get(core_v1.PersistentVolumeClaim, name, namespace)
        if driver.capabilities.node_expansion:
            wish = capability(found, precise=driver.capabilities.single_node_multi_writer)
            try:
                await driver.node_expand_volume(found.volume_id, path, csi.CapacityRange(required=found.capacity), wish)
            except DriverError as error:
                message = f'MountVolume.NodeExpandVolume failed for volume "{found.shown}" : {error.message}'
                self._events.event(claim, "Warning", "VolumeResizeFailed", message)
                raise MountFailed(message) from error
        claim.status.capacity = {**claim.status.capacity, "storage": str(Quantity.of_bytes(found.capacity))}
        claim.status.conditions = [c for c in claim.status.conditions if c.type not in RESIZING]
        claim.status.allocatedResourceStatuses = {k: v for k, v in claim.status.allocatedResourceStatuses.items() if k != "storage"}
        await self._client.update(claim, subresource="status")
        message = f'MountVolume.NodeExpandVolume succeeded for volume "{found.shown}"'
        for about in (pod, claim):
            self._events.event(about, "Normal", "FileSystemResizeSuccessful", message)
