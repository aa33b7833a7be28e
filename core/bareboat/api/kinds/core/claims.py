"""Persistent volume claims and their templates: what a pod asks of storage."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, forbidden, immutable, invalid, required, unsupported
from bareboat.api.kinds.core.resources import quantity
from bareboat.api.kinds.metadata import validate_annotations, validate_labels
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.codec import copy
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
FINALIZER = "kubernetes.io/pvc-protection"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def default_claim_spec(spec: Any) -> None:
    spec.volumeMode = "Filesystem" if spec.volumeMode is None else spec.volumeMode


def validate_access_modes(modes: list[str], at: str, because: str = "") -> list[Cause]:
    causes = [] if modes else [required(at, because)]
    causes += [unsupported(at, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES[:3] for mode in modes):
        causes.append(forbidden(at, "may not use ReadWriteOncePod with other access modes"))
    return causes


def validate_claim_spec(spec: Any, at: str) -> list[Cause]:
    causes = validate_access_modes(spec.accessModes, f"{at}.accessModes", "at least 1 access mode is required")
    causes += validate_selector(spec.selector, f"{at}.selector")
    causes += _storage(spec.resources.requests.get("storage"), f"{at}.resources[storage]")
    if spec.storageClassName:
        causes += each(f"{at}.storageClassName", spec.storageClassName, dns1123_subdomain(spec.storageClassName))
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        causes.append(unsupported(f"{at}.volumeMode", spec.volumeMode, VOLUME_MODES))
    for name in ("dataSource", "dataSourceRef"):
        source = getattr(spec, name)
        if source is not None:
            causes += _data_source(source, f"{at}.{name}")
    causes += _data_sources(spec, at)
    if spec.volumeAttributesClassName:
        field = f"{at}.volumeAttributesClassName"
        causes += each(field, spec.volumeAttributesClassName, dns1123_subdomain(spec.volumeAttributesClassName))
    return causes


def _storage(value: str | None, field: str) -> list[Cause]:
    if value is None:
        return [required(field)]
    if Quantity.parse(value).nanos <= 0:
        return [invalid(field, value, "must be greater than zero")]
    return quantity(field, "storage", value)


def _data_source(source: Any, at: str) -> list[Cause]:
    causes = [required(f"{at}.{name}") for name in ("name", "kind") if not getattr(source, name)]
    group = source.apiGroup or ""
    if not group and source.kind != "PersistentVolumeClaim":
        causes.append(invalid(at, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    if group:
        causes += each(f"{at}.apiGroup", group, dns1123_subdomain(group))
    space = getattr(source, "namespace", None)
    return causes + (each(f"{at}.namespace", space, dns1123_label(space)) if space else [])


def _data_sources(spec: Any, at: str) -> list[Cause]:
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is None or reference is None:
        return []
    if reference.namespace:
        return [invalid(at, f"{at}.dataSource", "may not be specified when dataSourceRef.namespace is specified")]
    same = (source.apiGroup, source.kind, source.name) == (reference.apiGroup, reference.kind, reference.name)
    return [] if same else [invalid(at, f"{at}.dataSource", "must match dataSourceRef")]


def validate_claim_template(template: Any, at: str) -> list[Cause]:
    """Of a generic ephemeral volume: its metadata has labels and annotations only."""
    meta = template.metadata
    causes = validate_annotations(meta.annotations, f"{at}.metadata.annotations") + validate_labels(meta.labels, f"{at}.metadata.labels")
    empty = type(meta)()
    for field in meta.__struct_fields__:
        if field not in ("labels", "annotations") and getattr(meta, field) != getattr(empty, field):
            causes.append(forbidden(f"{at}.metadata.{field}", "cannot be set"))
    return causes + validate_claim_spec(template.spec, f"{at}.spec")


def _changed(new: Any, old: Any) -> bool:
    """Whether more than what a claim may change has changed."""
    spec, was = copy(new.spec), copy(old.spec)
    if not was.volumeName:
        was.volumeName = spec.volumeName
    annotated = old.metadata.annotations.get(_CLASS_ANNOTATION)
    if was.storageClassName is None and spec.storageClassName is not None and annotated in (None, spec.storageClassName):
        spec.storageClassName = None
    if new.status.phase == "Bound":
        if spec.resources.requests and "storage" in was.resources.requests:
            spec.resources.requests["storage"] = was.resources.requests["storage"]
        if spec.volumeAttributesClassName is not None:
            spec.volumeAttributesClassName = was.volumeAttributesClassName
    return spec != was  # type: ignore[no-any-return]


class ClaimStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes: list[Cause] = []
        for name, value in new.status.capacity.items():
            if Quantity.parse(value).nanos < 0:
                causes.append(invalid(f"status.capacity[{name}]", value, "must be a valid resource quantity"))
        return causes


class ClaimStrategy(PlainStrategy):
    subresources = {"status": ClaimStatus()}

    def default(self, obj: Any) -> None:
        default_claim_spec(obj.spec)
        obj.status.phase = obj.status.phase or "Pending"
        obj.spec.dataSource, obj.spec.dataSourceRef = _mirrored(obj.spec.dataSource, obj.spec.dataSourceRef)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.status = core_v1.PersistentVolumeClaimStatus(phase="Pending")
        if FINALIZER not in obj.metadata.finalizers:
            obj.metadata.finalizers = [*obj.metadata.finalizers, FINALIZER]

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_claim_spec(obj.spec, "spec")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new)
        annotations = [meta.annotations.get(_CLASS_ANNOTATION, "") for meta in (new.metadata, old.metadata)]
        causes += immutable(f"metadata.annotations[{_CLASS_ANNOTATION}]", *annotations)
        if _changed(new, old):
            causes.append(forbidden("spec", _FIXED))
        return causes + _shrunk(new, old) + immutable("volumeMode", new.spec.volumeMode, old.spec.volumeMode) + _attributes(new, old)


def _mirrored(source: Any, reference: Any) -> tuple[Any, Any]:
    """Each of the two ways to name a data source stands for the other, within the namespace."""
    if reference is None and source is not None:
        reference = core_v1.TypedObjectReference(apiGroup=source.apiGroup, kind=source.kind, name=source.name)
    elif source is None and reference is not None and not reference.namespace:
        known = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
        if (reference.apiGroup or "", reference.kind) in known:
            source = core_v1.TypedLocalObjectReference(apiGroup=reference.apiGroup, kind=reference.kind, name=reference.name)
    return source, reference


def _shrunk(new: Any, old: Any) -> list[Cause]:
    sizes = [Quantity.parse(claim.spec.resources.requests.get("storage", "0")) for claim in (new, old)]
    if sizes[0] < sizes[1] and sizes[0] <= Quantity.parse(old.status.capacity.get("storage", "0")):
        return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    return []


def _attributes(new: Any, old: Any) -> list[Cause]:
    before, after = old.spec.volumeAttributesClassName, new.spec.volumeAttributesClassName
    if before and not after:
        what = "nil" if after is None else "an empty string"
        return [forbidden("spec.volumeAttributesClassName", f"update from non-nil value to {what} is forbidden")]
    return []


STRATEGIES: dict[str, type[Strategy]] = {"core/persistentvolumeclaims": ClaimStrategy}
