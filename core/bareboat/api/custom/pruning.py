"""Pruning: members that the schema does not know are dropped, and named for strict clients.

Members that are kept: those specified, any under ``additionalProperties`` or ``x-kubernetes-preserve-unknown-fields``, and of a
resource (the root or an embedded one) kind, apiVersion and metadata.
"""

from __future__ import annotations

from typing import Any

from bareboat.api.custom.schema import Schema

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
