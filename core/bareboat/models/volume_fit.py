"""The volume that fits a claim best. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.selectors import from_label_selector

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def class_of_claim(claim: core_v1.PersistentVolumeClaim) -> str:
    return claim.metadata.annotations.get(_CLASS_ANNOTATION, claim.spec.storageClassName or "")


def class_of_volume(volume: core_v1.PersistentVolume) -> str:
    return volume.metadata.annotations.get(_CLASS_ANNOTATION, volume.spec.storageClassName)


def refers_to(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether the volume is reserved for the claim: by name, and by uid if it has one."""
    reference = volume.spec.claimRef
    if reference is None or (reference.namespace, reference.name) != (claim.metadata.namespace, claim.metadata.name):
        return False
    return reference.uid in ("", claim.metadata.uid)


def misfit(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> str:
    """Why the volume cannot serve the claim; "" if it can."""
    if _size(volume.spec.capacity) < _size(claim.spec.resources.requests):
        return "requested PV is too small"
    if class_of_volume(volume) != class_of_claim(claim):
        return "storageClassName does not match"
    if (volume.spec.volumeMode or "Filesystem") != (claim.spec.volumeMode or "Filesystem"):
        return "incompatible volumeMode"
    if not set(claim.spec.accessModes) <= set(volume.spec.accessModes):
        return "incompatible accessMode"
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return "volumeAttributesClassName does not match"
    return ""


def best(volumes: Iterable[core_v1.PersistentVolume], claim: core_v1.PersistentVolumeClaim) -> core_v1.PersistentVolume | None:
    """One that is reserved for the claim, else the smallest free one that fits."""
    found: core_v1.PersistentVolume | None = None
    for volume in volumes:
        if volume.metadata.deletionTimestamp:
            continue
        if refers_to(volume, claim):
            if not misfit(volume, claim):
                return volume
            continue
        if volume.spec.claimRef is not None or volume.status.phase != "Available" or misfit(volume, claim):
            continue
        if claim.spec.selector is not None and not from_label_selector(claim.spec.selector).matches(volume.metadata.labels):
            continue
        if found is None or _rank(volume) < _rank(found):
            found = volume
    return found


def _rank(volume: core_v1.PersistentVolume) -> tuple[Quantity, str]:
    return _size(volume.spec.capacity), volume.metadata.name


def _size(amounts: dict[str, str]) -> Quantity:
    return Quantity.parse(amounts.get("storage", "0"))
