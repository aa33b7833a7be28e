"""Telling the API which storage drivers a node has: its CSINode, and the topology among the Node's labels.

What comes in: the drivers' ``node_get_info``. What goes out: one CSINode per node, owned by it, and labels. A driver that does not answer
yet is registered when it does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts import csi
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1, meta_v1, storage_v1
from bareboat.models.status import AlreadyExists, ApiError, NotFound

log = logging.getLogger("bareboat.storage")
#: Seconds between looks: soon while a driver is missing, seldom when all are there.
SOON, SELDOM = 5.0, 60.0


class Registering:
    """Of one node."""

    def __init__(self, node: str, client: Client, drivers: Mapping[str, csi.VolumeDriver], clock: Clock) -> None:
        self._node = node
        self._client = client
        self._drivers = drivers
        self._clock = clock
        self._infos: dict[str, csi.NodeInfo] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.register()
            except ApiError as error:
                log.warning("storage drivers of node %s are not registered: %s", self._node, error)
            await self._clock.sleep(SELDOM if len(self._infos) == len(self._drivers) else SOON)

    async def register(self) -> None:
        """Raises ApiError."""
        for name, driver in self._drivers.items():
            if name not in self._infos:
                try:
                    self._infos[name] = await driver.node_get_info()
                except DriverError as error:
                    log.warning("storage driver %s is not ready: %s: %s", name, error.reason, error.message)
        node = await self._client.get(core_v1.Node, self._node)
        labels = {key: value for info in self._infos.values() for key, value in info.topology.items()}
        if any(node.metadata.labels.get(key) != value for key, value in labels.items()):
            await self._client.patch(core_v1.Node, self._node, {"metadata": {"labels": labels}})
        await self._write(node, [_entry(name, info) for name, info in sorted(self._infos.items())])

    async def _write(self, node: core_v1.Node, entries: list[storage_v1.CSINodeDriver]) -> None:
        owner = meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=self._node, uid=node.metadata.uid)
        spec = storage_v1.CSINodeSpec(drivers=entries)
        try:
            found = await self._client.get(storage_v1.CSINode, self._node)
        except NotFound:
            wanted = storage_v1.CSINode(metadata=meta_v1.ObjectMeta(name=self._node, ownerReferences=[owner]), spec=spec)
            try:
                await self._client.create(wanted)
            except AlreadyExists:
                return
            return
        ours = [e for e in found.spec.drivers if e.name in self._drivers]
        others = [e for e in found.spec.drivers if e.name not in self._drivers]
        if ours == entries and [o.uid for o in found.metadata.ownerReferences] == [node.metadata.uid]:
            return
        changed = [o for o in ours if o not in entries]
        if changed:  # entries do not change: they go, and come back
            found.spec.drivers = [*others, *(e for e in ours if e in entries)]
            found = await self._client.update(found)
        found.spec.drivers = [*others, *entries]
        found.metadata.ownerReferences = [owner]
        await self._client.update(found)


def _entry(name: str, info: csi.NodeInfo) -> storage_v1.CSINodeDriver:
    allocatable = storage_v1.VolumeNodeResources(count=info.max_volumes) if info.max_volumes else None
    return storage_v1.CSINodeDriver(name=name, nodeID=info.node_id, topologyKeys=sorted(info.topology), allocatable=allocatable)
