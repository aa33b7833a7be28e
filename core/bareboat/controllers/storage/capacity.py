"""What is left for new volumes, as CSIStorageCapacity objects: one per StorageClass of the driver and place.

What comes in: the driver's ``get_capacity``, asked every minute and when the classes change. What goes out: objects for the scheduler and
for people. Nodes with volumes of their own tell of themselves; else the agent that holds the Lease tells of the whole cluster.
"""

from __future__ import annotations

import hashlib

from bareboat.contracts.errors import DriverError
from bareboat.controllers.storage import requests
from bareboat.controllers.storage.seat import Seat
from bareboat.models import meta_v1, storage_v1
from bareboat.models.quantity import Quantity
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import InformerFactory

NAMESPACE = "kube-system"
EVERY = 60.0
LABELS = {"csi.storage.k8s.io/managed-by": "external-provisioner"}


class Capacities(Controller):
    name = "csi-capacity"

    def __init__(self, context: ControllerContext, seat: Seat) -> None:
        self._seat = seat
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._classes = self.watch(informers.of(storage_v1.StorageClass))

    async def reconcile(self, key: str) -> float | None:
        if not self._seat.driver.capabilities.capacity:
            return None
        if not (self._seat.local or self._seat.leads):
            return EVERY / 4
        found = self._classes.get(key)
        name = self._name(key.removeprefix("/"))
        if found is None or found.provisioner != self._seat.name:
            if found is None:
                await self._remove(name)
            return None
        try:
            parameters = {k: v for k, v in found.parameters.items() if not k.startswith(requests.OWN)}
            told = await self._seat.driver.get_capacity((), parameters, dict(self._seat.info.topology) or None)
        except DriverError:
            return EVERY / 4
        await self._write(name, found, told.available, told.maximum)
        return EVERY

    def _name(self, storage_class: str) -> str:
        place = self._seat.node if self._seat.local else ""
        return f"csisc-{hashlib.sha256(f'{self._seat.name}/{storage_class}/{place}'.encode()).hexdigest()[:20]}"

    async def _write(self, name: str, found: storage_v1.StorageClass, available: int, maximum: int) -> None:
        wanted = storage_v1.CSIStorageCapacity(
            metadata=meta_v1.ObjectMeta(
                name=name, namespace=NAMESPACE, labels={**LABELS, "csi.storage.k8s.io/drivername": self._seat.name[:63]}
            ),
            nodeTopology=meta_v1.LabelSelector(matchLabels=dict(self._seat.info.topology)),
            storageClassName=found.metadata.name,
            capacity=str(Quantity.of_bytes(available)),
            maximumVolumeSize=str(Quantity.of_bytes(maximum)) if maximum else None,
        )
        try:
            known = await self.client.get(storage_v1.CSIStorageCapacity, name, NAMESPACE)
        except NotFound:
            await self.client.create(wanted)
            return
        if (known.capacity, known.maximumVolumeSize) == (wanted.capacity, wanted.maximumVolumeSize):
            return
        known.capacity, known.maximumVolumeSize = wanted.capacity, wanted.maximumVolumeSize
        await self.client.update(known)

    async def _remove(self, name: str) -> None:
        try:
            await self.client.delete(storage_v1.CSIStorageCapacity, name, NAMESPACE)
        except NotFound:
            return
