"""Pruning: members that the schema does not know are dropped, and named for strict clients.

Members that are kept: those specified, any under ``additionalProperties`` or ``x-kubernetes-preserve-unknown-fields``, and of a
resource (the root or an embedded one) kind, apiVersion and metadata, which has the members of every object's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.api.custom.schema import Schema
from bareboat.models import meta_v1
from bareboat.models.codec import DecodeError, decode_strict

_META = frozenset({"kind", "apiVersion", "metadata"})


def prune(value: Any, schema: Schema, *, root: bool = True) -> list[str]:
    """In place. The paths of what was dropped."""
    dropped: list[str] = []
    _prune(value, schema, "", root, dropped)
    return dropped


def _prune(value: Any, schema: Schema, at: str, resource: bool, dropped: list[str]) -> None:
    if isinstance(value, dict):
        _members(value, schema, at, resource or schema.embedded, dropped)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                _prune(item, schema.items, f"{at}[{index}]", False, dropped)


def _members(value: dict[str, Any], schema: Schema, at: str, resource: bool, dropped: list[str]) -> None:
    properties, additional = schema.properties, schema.additional
    lost = []
    for name, item in value.items():
        if resource and name in _META:
            continue
        known = properties.get(name)
        if known is None and isinstance(additional, Schema):
            known = additional
        if known is not None:
            if isinstance(item, dict | list):
                _prune(item, known, f"{at}.{name}" if at else name, False, dropped)
        elif not schema.preserve and additional is None:
            lost.append(name)
    for name in lost:
        del value[name]
        dropped.append(f"{at}.{name}" if at else name)
    if schema.embedded and isinstance(value.get("metadata"), dict):
        dropped += [f"{at}.metadata.{name}" for name in _unknown(value["metadata"])]


def _unknown(metadata: dict[str, Any]) -> list[str]:
    """What no object has in its metadata. That it does not fit is found by whoever checks the object."""
    try:
        _, faults = decode_strict(meta_v1.ObjectMeta, msgspec.json.encode(metadata))
    except DecodeError:
        return []
    return [fault.split('"')[1] for fault in faults if fault.startswith("unknown field")]
