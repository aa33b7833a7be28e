"""Which empty lists of an object are written as null. In: an object whose JSON has an empty list. Out: where those lists are.

A list field that is never dropped is null when empty, except the items of a list object. msgspec cannot say this, so the codec asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bareboat.models import schema

Plan = tuple[tuple[str, bool, str], ...]  # attribute, may itself be null, type key of what is below or ""
Found = list[tuple[msgspec.Struct, str]]

_PLANS: dict[str, Plan] = {}


def empty_lists(obj: msgspec.Struct) -> Found:
    """The owner and attribute of every list to be written as null."""
    found: Found = []
    _within(obj, _plan(schema.key_of(type(obj))), found)
    return found


def _within(obj: Any, plan: Plan, found: Found) -> None:
    for attr, nullable, below in plan:
        value = getattr(obj, attr)
        if not value:
            if nullable and value == []:
                found.append((obj, attr))
        elif below:
            _below(value, _PLANS.get(below) or _plan(below), found)


def _below(value: Any, plan: Plan, found: Found) -> None:
    if isinstance(value, list):
        for item in value:
            _below(item, plan, found)
    elif isinstance(value, dict):
        for item in value.values():
            _below(item, plan, found)
    elif isinstance(value, msgspec.Struct):
        _within(value, plan, found)


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
