"""Labels and annotations: keys, values and sizes. In: a map and its field. Out: causes."""

from __future__ import annotations

from bareboat.api.kinds.causes import each, too_long
from bareboat.models.names import label_value, qualified_name
from bareboat.models.status import Cause

ANNOTATIONS_LIMIT = 256 * 1024


def label_faults(value: str) -> list[str]:
    """Label values are measured in bytes, and clients are told so."""
    return [_in_bytes(fault) for fault in label_value(value)]


def label_key_faults(value: str) -> list[str]:
    """So are the names of label keys."""
    return [_in_bytes(fault) if fault.startswith("name part ") else fault for fault in qualified_name(value)]


def _in_bytes(fault: str) -> str:
    return fault.replace("must be no more than 63 characters", "must be no more than 63 bytes")


def validate_labels(labels: dict[str, str], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in labels.items():
        causes += each(field, key, label_key_faults(key)) + each(field, value, label_faults(value))
    return causes


def validate_annotations(annotations: dict[str, str], field: str) -> list[Cause]:
    causes: list[Cause] = []
    for key in annotations:
        causes += each(field, key, label_key_faults(key.lower()))
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_LIMIT:
        causes.append(too_long(field, ANNOTATIONS_LIMIT))
    return causes
