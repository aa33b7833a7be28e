"""Which empty lists of an object are written as null. In: an object whose JSON has an empty list. Out: where those lists are.

A list field that is never dropped is null when empty, except the items of a list object. msgspec cannot say this, so the codec asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bareboat.models import schema

Plan = tuple[tuple[str, bool, str], ...]  # attribute, may itself be null, shape of what is below or ""

_PLANS: dict[str, Plan] = {}


def empty_lists(obj: msgspec.Struct) -> Iterator[tuple[msgspec.Struct, str]]:
    """The owner and attribute of every list to be written as null."""
    yield from _within(obj, schema.of(type(obj)).key)


def _within(obj: Any, key: str) -> Iterator[tuple[msgspec.Struct, str]]:
    for attr, nullable, below in _plan(key):
        value = getattr(obj, attr)
        if nullable and value == []:
            yield obj, attr
        elif below and value:
            for item in _structs(value):
                yield from _within(item, below)


def _structs(value: Any) -> Iterator[Any]:
    if isinstance(value, msgspec.Struct):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _structs(item)


def _plan(key: str) -> Plan:
    """The fields worth visiting: lists that may be null and structs that have such lists somewhere below."""
    known = _PLANS.get(key)
    if known is None:
        known = _PLANS[key] = tuple(_steps(key))
    return known


def _steps(key: str) -> Iterator[tuple[str, bool, str]]:
    kind = schema.by_key(key)
    for field in kind:
        nullable = field.always and field.kind == "list" and not (field.json_name == "items" and kind.name.endswith("List"))
        below = field.type.key if field.type is not None and _reaches(field.type.key, set()) else ""
        if nullable or below:
            yield field.attr, nullable, below


def _reaches(key: str, seen: set[str]) -> bool:
    if key in seen:
        return False
    seen.add(key)
    kind = schema.by_key(key)
    if any(field.always and field.kind == "list" for field in kind):
        return True
    return any(field.type is not None and _reaches(field.type.key, seen) for field in kind)
