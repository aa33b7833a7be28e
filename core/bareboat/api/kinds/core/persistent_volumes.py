"""PersistentVolume, and the volume specs that a VolumeAttachment may carry inline."""

from __future__ import annotations

import posixpath
from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import IMMUTABLE, each, forbidden, immutable, invalid, required, unsupported
from bareboat.api.kinds.core.affinity import validate_node_selector
from bareboat.api.kinds.core.claims import VOLUME_MODES, validate_access_modes
from bareboat.api.kinds.core.volume_sources import PERSISTENT, only_one
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.codec import copy
from bareboat.models.names import dns1123_subdomain
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

FINALIZER = "kubernetes.io/pv-protection"
_RECLAIM = ("Delete", "Recycle", "Retain")
_INLINE = "may not be specified in the context of inline volumes"


def validate_volume_spec(spec: Any, at: str, *, inline: bool = False) -> list[Cause]:
    causes = validate_access_modes(spec.accessModes, f"{at}.accessModes")
    if inline:
        held = [name for name in ("claimRef", "capacity", "nodeAffinity", "storageClassName") if getattr(spec, name)]
        causes += [forbidden(f"{at}.{name}", _INLINE) for name in held]
        if spec.csi is None:
            causes.append(required(f"{at}.csi", "has to be specified in the context of inline volumes"))
    else:
        causes += _capacity(spec.capacity, f"{at}.capacity") + _placement(spec, at)
    causes += _policies(spec, at, inline=inline) + _source(spec, at, affine=spec.nodeAffinity is not None and not inline)
    if spec.volumeAttributesClassName is not None:
        causes += _attributes(spec, at)
    return causes


def _capacity(capacity: dict[str, str], at: str) -> list[Cause]:
    causes = [] if capacity else [required(at)]
    if "storage" not in capacity or len(capacity) > 1:
        causes.append(unsupported(at, capacity, ("storage",)))
    for name, value in capacity.items():
        amount = Quantity.parse(value).nanos
        if amount < 0:
            causes.append(invalid(f"{at}[{name}]", value, "must be a valid resource quantity"))
        if amount <= 0:
            causes.append(invalid(f"{at}[{name}]", value, "must be greater than zero"))
    return causes


def _placement(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.storageClassName:
        causes += each(f"{at}.storageClassName", spec.storageClassName, dns1123_subdomain(spec.storageClassName))
    if spec.nodeAffinity is None:
        return causes
    if spec.nodeAffinity.required is None:
        return [*causes, required(f"{at}.nodeAffinity.required", "must specify required node constraints")]
    return causes + validate_node_selector(spec.nodeAffinity.required, f"{at}.nodeAffinity.required")


def _policies(spec: Any, at: str, *, inline: bool) -> list[Cause]:
    causes: list[Cause] = []
    policy, mode, field = spec.persistentVolumeReclaimPolicy, spec.volumeMode, f"{at}.persistentVolumeReclaimPolicy"
    if inline:
        if policy not in ("", "Retain"):
            causes.append(forbidden(field, "may only be Retain in the context of inline volumes"))
        if mode not in (None, "Filesystem"):
            message = "may not specify volumeMode other than Filesystem in the context of inline volumes"
            causes.append(forbidden(f"{at}.volumeMode", message))
        return causes
    if policy and policy not in _RECLAIM:
        causes.append(unsupported(field, policy, _RECLAIM))
    if policy == "Recycle" and spec.hostPath is not None and posixpath.normpath(spec.hostPath.path or ".") == "/":
        causes.append(forbidden(field, "may not be 'recycle' for a hostPath mount of '/'"))
    if mode is not None and mode not in VOLUME_MODES:
        causes.append(unsupported(f"{at}.volumeMode", mode, VOLUME_MODES))
    return causes


def _source(spec: Any, at: str, *, affine: bool) -> list[Cause]:
    chosen = [name for name in PERSISTENT if getattr(spec, name) is not None]
    if not chosen:
        return [required(at, "must specify a volume type")]
    causes = PERSISTENT[chosen[0]](getattr(spec, chosen[0]), f"{at}.{chosen[0]}") + only_one(chosen, at)
    if chosen[0] == "local" and not affine:
        causes.append(required(f"{at}.nodeAffinity", "Local volume requires node affinity"))
    return causes


def _attributes(spec: Any, at: str) -> list[Cause]:
    name, field = spec.volumeAttributesClassName, f"{at}.volumeAttributesClassName"
    causes = each(field, name, dns1123_subdomain(name)) if name else [required(field, "an empty string is disallowed")]
    if spec.csi is None:
        causes.append(required(f"{at}.csi", "has to be specified when using volumeAttributesClassName"))
    return causes


class VolumeStatus(SubresourceStrategy):
    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        super().prepare_update(new, old, ctx)
        if new.status.phase != old.status.phase and new.status.lastPhaseTransitionTime == old.status.lastPhaseTransitionTime:
            new.status.lastPhaseTransitionTime = ctx.now


class VolumeStrategy(PlainStrategy):
    subresources = {"status": VolumeStatus()}

    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.persistentVolumeReclaimPolicy = spec.persistentVolumeReclaimPolicy or "Retain"
        spec.volumeMode = "Filesystem" if spec.volumeMode is None else spec.volumeMode
        if not obj.status.phase:
            obj.status.phase = "Pending"
        default_source(spec)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.status = core_v1.PersistentVolumeStatus(phase="Pending", lastPhaseTransitionTime=ctx.now)
        if FINALIZER not in obj.metadata.finalizers:
            obj.metadata.finalizers = [*obj.metadata.finalizers, FINALIZER]

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_volume_spec(obj.spec, "spec")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new) * 2  # upstream looks twice: at the whole, and at the change
        if _sources(new.spec, old.spec) != _sources(old.spec, old.spec):
            causes.append(forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"))
        causes += immutable("volumeMode", new.spec.volumeMode, old.spec.volumeMode)
        affinity, was = new.spec.nodeAffinity, old.spec.nodeAffinity
        if was is not None and affinity != was:
            causes.append(invalid("nodeAffinity", affinity, f"{IMMUTABLE}, except for updating from beta label to GA"))
        if old.spec.volumeAttributesClassName is not None and new.spec.volumeAttributesClassName is None:
            causes.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
        return causes

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return [f"spec.{name}: {text}" for name, text in _OLD.items() if getattr(obj.spec, name) is not None]


_OLD = {
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
}


def _sources(spec: Any, old: Any) -> list[Any]:
    """A secret for expansion may come later."""
    if spec.csi is not None and old.csi is not None and old.csi.controllerExpandSecretRef is None:
        spec = copy(spec)
        spec.csi.controllerExpandSecretRef = None
    return [getattr(spec, name) for name in PERSISTENT]


def default_source(spec: Any) -> None:
    """Of sources that pods and volumes share."""
    if spec.hostPath is not None and spec.hostPath.type is None:
        spec.hostPath.type = ""
    if spec.iscsi is not None:
        spec.iscsi.iscsiInterface = spec.iscsi.iscsiInterface or "default"
    if spec.rbd is not None:
        spec.rbd.pool = spec.rbd.pool or "rbd"
        spec.rbd.user = spec.rbd.user or "admin"
        spec.rbd.keyring = spec.rbd.keyring or "/etc/ceph/keyring"
    if spec.scaleIO is not None:
        spec.scaleIO.storageMode = spec.scaleIO.storageMode or "ThinProvisioned"
        spec.scaleIO.fsType = spec.scaleIO.fsType or "xfs"
    if spec.azureDisk is not None:
        disk = spec.azureDisk
        disk.cachingMode = "ReadWrite" if disk.cachingMode is None else disk.cachingMode
        disk.kind = "Shared" if disk.kind is None else disk.kind
        disk.fsType = "ext4" if disk.fsType is None else disk.fsType
        disk.readOnly = False if disk.readOnly is None else disk.readOnly


STRATEGIES: dict[str, type[Strategy]] = {"core/persistentvolumes": VolumeStrategy}
