"""Defaults of a structural schema, filled into a tree; nulls that may not be null go.

A member that is absent, or null where null is not allowed, gets its default; one without default that is null where null is not
allowed is dropped. Read objects are treated alike: a default that a definition gained shows in objects that were stored before.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from bareboat.api.custom.schema import MISSING, Schema


def default(value: Any, schema: Schema) -> None:
    """In place."""
    if isinstance(value, dict):
        _members(value, schema)
    elif isinstance(value, list) and schema.items is not None:
        _items(value, schema.items)


def _members(value: dict[str, Any], schema: Schema) -> None:
    for name, below in schema.properties.items():
        item = value.get(name, MISSING)
        if below.default is not MISSING and (item is MISSING or (item is None and not below.nullable)):
            value[name] = item = deepcopy(below.default)
        if item is None and not below.nullable:
            del value[name]
        elif item is not MISSING and isinstance(item, dict | list):
            default(item, below)
    additional = schema.additional
    if isinstance(additional, Schema):
        for name, item in value.items():
            if name not in schema.properties:
                value[name] = _filled(item, additional)


def _items(value: list[Any], schema: Schema) -> None:
    for index, item in enumerate(value):
        value[index] = _filled(item, schema)


def _filled(item: Any, schema: Schema) -> Any:
    if item is None and not schema.nullable and schema.default is not MISSING:
        item = deepcopy(schema.default)
    default(item, schema)
    return item
