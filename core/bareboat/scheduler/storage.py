"""What the scheduler knows of claims, volumes, classes and the limits of nodes, and which volumes it has promised.

What comes in: the informers' objects. What goes out: answers about one claim or volume; listeners are told that something is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bareboat.contracts.scheduling import BoolArray
from bareboat.models import core_v1, storage_v1
from bareboat.models.quantity import Quantity
from bareboat.models.selectors import from_label_selector
from bareboat.models.volume_fit import class_of_claim, class_of_volume, misfit, refers_to
from bareboat.reconcile.informer import Informer, InformerFactory
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.selection import selected

SELECTED_NODE, BOUND = "volume.kubernetes.io/selected-node", "pv.kubernetes.io/bind-completed"
Claim = core_v1.PersistentVolumeClaim


class Storage:
    def __init__(self, informers: InformerFactory, on_change: Callable[[], None]) -> None:
        #: told after every change
        self.listeners = [on_change]
        self._claims: dict[str, Claim] = {}
        self._volumes: dict[str, core_v1.PersistentVolume] = {}
        self._by_class: dict[str, dict[str, core_v1.PersistentVolume]] = {}
        self._classes: dict[str, storage_v1.StorageClass] = {}
        self._limits: dict[str, dict[str, int]] = {}
        #: volumes promised to claims whose binding is not through
        self.promised: dict[str, str] = {}
        self._reach: dict[str, tuple[core_v1.PersistentVolume, int, BoolArray]] = {}
        self._informers = [
            self._follow(informers.of(core_v1.PersistentVolume), self._put_volume),
            self._follow(informers.of(core_v1.PersistentVolumeClaim), self._put_claim),
            self._follow(informers.of(storage_v1.StorageClass), self._put_class),
            self._follow(informers.of(storage_v1.CSINode), self._put_limits),
        ]

    async def synced(self) -> None:
        for informer in self._informers:
            await informer.synced()

    def claim(self, key: str) -> Claim | None:
        return self._claims.get(key)

    def volume(self, name: str) -> core_v1.PersistentVolume | None:
        return self._volumes.get(name)

    def storage_class(self, name: str) -> storage_v1.StorageClass | None:
        return self._classes.get(name)

    def is_bound(self, claim: Claim) -> bool:
        return bool(claim.spec.volumeName) and BOUND in claim.metadata.annotations

    def waits(self, claim: Claim) -> bool:
        """Whether the claim is bound only when a pod that uses it has a node."""
        found = self._classes.get(class_of_claim(claim))
        return not claim.spec.volumeName and found is not None and found.volumeBindingMode == "WaitForFirstConsumer"

    def free_for(self, claim: Claim) -> list[core_v1.PersistentVolume]:
        """Volumes the claim may have: one reserved for it, or free ones that fit, the smallest first."""
        key = f"{claim.metadata.namespace}/{claim.metadata.name}"
        fitting = [
            v for v in self._by_class.get(class_of_claim(claim), {}).values() if not misfit(v, claim) and not v.metadata.deletionTimestamp
        ]
        reserved = [v for v in fitting if refers_to(v, claim)]
        if reserved:
            return reserved
        wanted = from_label_selector(claim.spec.selector) if claim.spec.selector is not None else None
        free = [v for v in fitting if self._free(v, key) and (wanted is None or wanted.matches(v.metadata.labels))]
        return sorted(free, key=lambda v: (Quantity.parse(v.spec.capacity.get("storage", "0")).nanos, v.metadata.name))

    def _free(self, volume: core_v1.PersistentVolume, key: str) -> bool:
        return volume.spec.claimRef is None and volume.status.phase == "Available" and self.promised.get(volume.metadata.name, key) == key

    def reach(self, volume: core_v1.PersistentVolume, columns: Columns) -> BoolArray:
        """Nodes from which the volume can be used."""
        known = self._reach.get(volume.metadata.name)
        if known is not None and known[0] is volume and known[1] == columns.version:
            return known[2]
        affinity = volume.spec.nodeAffinity
        required = affinity.required if affinity else None
        mask = np.ones(len(columns), dtype=bool) if required is None else selected(required, columns)
        self._reach[volume.metadata.name] = (volume, columns.version, mask)
        return mask

    def driver_of(self, claim: Claim) -> str:
        """The CSI driver of the claim's volume; for one yet to be made, of its class."""
        volume = self._volumes.get(claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is not None:
            return volume.spec.csi.driver if volume.spec.csi else ""
        found = self._classes.get(class_of_claim(claim))
        return found.provisioner if found else ""

    def handle_of(self, claim: Claim) -> str:
        """Names the claim's volume among those of its driver."""
        volume = self._volumes.get(claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is not None and volume.spec.csi:
            return volume.spec.csi.volumeHandle
        return f"{claim.metadata.namespace}/{claim.metadata.name}"

    def limits(self, driver: str) -> dict[str, int]:
        """How many of the driver's volumes a node can have, for nodes that say so."""
        return self._limits.get(driver, {})

    def _follow(self, informer: Informer[Any], put: Callable[[str, Any], None]) -> Informer[Any]:
        def told(key: str, _old: bytes | None, new: bytes | None) -> None:
            put(key.removeprefix("/"), informer.get(key) if new is not None else None)
            for listener in self.listeners:
                listener()

        informer.on_change(told)
        return informer

    def _put_claim(self, key: str, claim: Claim | None) -> None:
        self._claims.pop(key, None)
        if claim is not None:
            self._claims[key] = claim

    def _put_volume(self, name: str, volume: core_v1.PersistentVolume | None) -> None:
        before = self._volumes.pop(name, None)
        self._reach.pop(name, None)
        if before is not None:
            self._by_class[class_of_volume(before)].pop(name, None)
        if volume is not None:
            self._volumes[name] = volume
            self._by_class.setdefault(class_of_volume(volume), {})[name] = volume

    def _put_class(self, name: str, found: storage_v1.StorageClass | None) -> None:
        self._classes.pop(name, None)
        if found is not None:
            self._classes[name] = found

    def _put_limits(self, name: str, node: storage_v1.CSINode | None) -> None:
        for limits in self._limits.values():
            limits.pop(name, None)
        for driver in node.spec.drivers if node is not None else []:
            if driver.allocatable and driver.allocatable.count is not None:
                self._limits.setdefault(driver.name, {})[name] = driver.allocatable.count
