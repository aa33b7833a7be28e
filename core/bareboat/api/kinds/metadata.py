"""Rules of metadata that every kind shares: names, labels, annotations, owners, finalizers; what an update may not change."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import each, forbidden, immutable, invalid, required, too_long
from bareboat.api.strategy import Strategy
from bareboat.base.memo import remembered
from bareboat.models.names import dns1123_label, label_value, qualified_name
from bareboat.models.scheme import Resource
from bareboat.models.status import Cause

ANNOTATIONS_LIMIT = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


def validate_metadata_create(meta: Any, resource: Resource, strategy: Strategy) -> list[Cause]:
    causes: list[Cause] = []
    if meta.generateName:
        causes += each("metadata.generateName", meta.generateName, strategy.validate_name(_masked(meta.generateName)))
    if not meta.name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif faults := strategy.validate_name(meta.name):
        causes += each("metadata.name", meta.name, faults)
    if resource.namespaced and meta.namespace:
        if not is_namespace(meta.namespace):
            causes += each("metadata.namespace", meta.namespace, dns1123_label(meta.namespace))
    elif resource.namespaced:
        causes.append(required("metadata.namespace"))
    return causes + _common(meta, strategy)


def _masked(prefix: str) -> str:
    """generateName may end in a dash: the suffix comes behind it."""
    return prefix[:-1] + "a" if prefix.endswith("-") and len(prefix) > 1 else prefix


def validate_metadata_update(new: Any, old: Any, strategy: Strategy) -> list[Cause]:
    causes = immutable("metadata.name", new.name, old.name) + immutable("metadata.namespace", new.namespace, old.namespace)
    causes += immutable("metadata.uid", new.uid, old.uid)
    if old.deletionTimestamp:
        added = [f for f in new.finalizers if f not in old.finalizers]
        if added:
            listed = "{" + ", ".join(f'"{f}":struct {{}}{{}}' for f in added) + "}"
            causes.append(
                forbidden(
                    "metadata.finalizers", f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
                )
            )
    return causes + _common(new, strategy)


def _common(meta: Any, strategy: Strategy) -> list[Cause]:
    causes = validate_labels(meta.labels, "metadata.labels") if meta.labels else []
    if meta.annotations:
        causes += validate_annotations(meta.annotations, "metadata.annotations")
    if meta.ownerReferences:
        causes += _owners(meta.ownerReferences)
    if not meta.finalizers:
        return causes
    for finalizer in meta.finalizers:
        causes += validate_finalizer(finalizer, "metadata.finalizers", known=strategy.known_finalizers)
    if "orphan" in meta.finalizers and "foregroundDeletion" in meta.finalizers:
        message = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid("metadata.finalizers", meta.finalizers, message))
    return causes


def validate_labels(labels: dict[str, str], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for pair in labels.items():
        if not _is_label(*pair):
            key, value = pair
            causes += each(field, key, qualified_name(key)) + each(field, value, label_value(value))
    return causes


@remembered(8192)
def _is_label(key: str, value: str) -> bool:
    """The same few labels come with every object."""
    return not qualified_name(key) and not label_value(value)


@remembered(2048)
def is_namespace(name: str) -> bool:
    return not dns1123_label(name)


@remembered(2048)
def _is_annotation(key: str) -> bool:
    return not qualified_name(key.lower())


def validate_annotations(annotations: dict[str, str], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for key in annotations:
        if not _is_annotation(key):
            causes += each(field, key, qualified_name(key.lower()))
    if _are_too_large(annotations):
        causes.append(too_long(field, ANNOTATIONS_LIMIT))
    return causes


def _are_too_large(annotations: dict[str, str]) -> bool:
    """A character is four bytes at most, so mostly there is no need to look closer."""
    if 4 * (sum(map(len, annotations)) + sum(map(len, annotations.values()))) <= ANNOTATIONS_LIMIT:
        return False
    return sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_LIMIT


def validate_finalizer(finalizer: str, field: str, *, known: bool = True) -> list[Cause]:
    causes = each(field, finalizer, qualified_name(finalizer))
    if known and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        causes.append(invalid(field, finalizer, "name is neither a standard finalizer name nor is it fully qualified"))
    return causes


def _owners(owners: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    controller = ""
    for owner in owners:
        field = "metadata.ownerReferences"
        for name in ("apiVersion", "kind", "name", "uid"):
            if not getattr(owner, name):
                causes.append(invalid(f"{field}.{name}", "", f"{'version' if name == 'apiVersion' else name} must not be empty"))
        if owner.controller:
            if controller:
                message = (
                    f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {owner.name}'
                )
                causes.append(invalid(field, [], message))
            controller = owner.name
    return causes
