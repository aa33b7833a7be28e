"""PersistentVolume, PersistentVolumeClaim, StorageClass, CSIDriver and the rest of storage.k8s.io."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import forbidden, required
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.status import Cause


class VolumeStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.persistentVolumeReclaimPolicy = spec.persistentVolumeReclaimPolicy or "Retain"
        spec.volumeMode = spec.volumeMode or "Filesystem"
        if spec.hostPath is not None and spec.hostPath.type is None:
            spec.hostPath.type = ""
        if not obj.status.phase:
            obj.status.phase = "Pending"

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.status = core_v1.PersistentVolumeStatus(phase="Pending", lastPhaseTransitionTime=ctx.now)

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = [] if obj.spec.accessModes else [required("spec.accessModes")]
        return causes + ([] if obj.spec.capacity else [required("spec.capacity")])


class StorageClassStrategy(KindStrategy):
    has_generation = False

    def default(self, obj: Any) -> None:
        obj.reclaimPolicy = obj.reclaimPolicy or "Delete"
        obj.volumeBindingMode = obj.volumeBindingMode or "Immediate"

    def validate_create(self, obj: Any) -> list[Cause]:
        return [] if obj.provisioner else [required("provisioner")]

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        fields = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        return [forbidden(f, "updates to " + f + " are forbidden.") for f in fields if getattr(new, f) != getattr(old, f)]


class CSIDriverStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.attachRequired = True if spec.attachRequired is None else spec.attachRequired
        spec.podInfoOnMount = bool(spec.podInfoOnMount)
        spec.storageCapacity = bool(spec.storageCapacity)
        spec.fsGroupPolicy = spec.fsGroupPolicy or "ReadWriteOnceWithFSType"
        spec.volumeLifecycleModes = spec.volumeLifecycleModes or ["Persistent"]
        spec.requiresRepublish = bool(spec.requiresRepublish)
        spec.seLinuxMount = bool(spec.seLinuxMount)


STRATEGIES: dict[str, type[Strategy]] = {
    "core/persistentvolumes": VolumeStrategy,
    "storage.k8s.io/storageclasses": StorageClassStrategy,
    "storage.k8s.io/csidrivers": CSIDriverStrategy,
    "storage.k8s.io/csinodes": PlainStrategy,
    "storage.k8s.io/csistoragecapacities": PlainStrategy,
    "storage.k8s.io/volumeattachments": PlainStrategy,
}
