"""Defaults of a structural schema, filled into a tree; nulls that may not be null go.

A member that is absent, or null where null is not allowed, gets its default; one without default that is null where null is not
allowed is dropped. Read objects are treated alike: a default that a definition gained shows in objects that were stored before.
Defaults add no more than a request may weigh: a few bytes of empty items do not become gigabytes.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec

from bareboat.api.custom.schema import MISSING, Schema
from bareboat.models.status import RequestEntityTooLarge

#: Bytes that defaults may add to one object.
MOST_ADDED = 3 << 20


class _Full(Exception):
    """Defaults would add more than they may."""


class _Room:
    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_ADDED

    def copy(self, schema: Schema) -> Any:
        """The default of a level. Raises _Full."""
        self.left -= len(msgspec.json.encode(schema.default)) + 8
        if self.left < 0:
            raise _Full
        return deepcopy(schema.default) if isinstance(schema.default, dict | list) else schema.default


def default(value: Any, schema: Schema, *, partly: bool = False) -> None:
    """In place. ``partly``: what does not fit is left out, which is what reading does. Raises RequestEntityTooLarge."""
    try:
        _default(value, schema, _Room())
    except _Full as error:
        if not partly:
            raise RequestEntityTooLarge(f"Request entity too large: its defaults add more than {MOST_ADDED} bytes") from error


def _default(value: Any, schema: Schema, room: _Room) -> None:
    if isinstance(value, dict):
        _members(value, schema, room)
    elif isinstance(value, list) and schema.items is not None:
        _items(value, schema.items, room)


def _members(value: dict[str, Any], schema: Schema, room: _Room) -> None:
    for name, below in schema.properties.items():
        item = value.get(name, MISSING)
        if below.default is not MISSING and (item is MISSING or (item is None and not below.nullable)):
            value[name] = item = room.copy(below)
        if item is None and not below.nullable:
            del value[name]
        elif item is not MISSING and isinstance(item, dict | list):
            _default(item, below, room)
    additional = schema.additional
    if isinstance(additional, Schema):
        for name, item in value.items():
            if name not in schema.properties:
                value[name] = _filled(item, additional, room)


def _items(value: list[Any], schema: Schema, room: _Room) -> None:
    for index, item in enumerate(value):
        value[index] = _filled(item, schema, room)


def _filled(item: Any, schema: Schema, room: _Room) -> Any:
    if item is None and not schema.nullable and schema.default is not MISSING:
        item = room.copy(schema)
    _default(item, schema, room)
    return item
