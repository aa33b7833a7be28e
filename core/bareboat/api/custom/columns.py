"""Tables of custom objects: the name, then the columns that the definition asks for, or the age."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from bareboat.api.custom.definition import Version
from bareboat.api.custom.jsonpath import BadPath, JsonPath
from bareboat.api.tables.descriptions import describe
from bareboat.api.tables.values import age

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


class Columns:
    """Of one version."""

    def __init__(self, version: Version) -> None:
        self._wanted = version.columns or [_AGE]
        self._paths = [_path(column["jsonPath"]) for column in self._wanted]

    @cached_property
    def definitions(self) -> list[dict[str, Any]]:
        """TableColumnDefinitions."""
        name = {"name": "Name", "type": "string", "format": "name", "description": describe("", "Name"), "priority": 0}
        return [name, *(self._definition(column) for column in self._wanted)]

    def _definition(self, column: dict[str, Any]) -> dict[str, Any]:
        said = f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
        if column is _AGE:
            said = describe("", "Age")
        return {
            "name": column["name"],
            "type": column["type"],
            "format": column.get("format", ""),
            "description": column.get("description") or said,
            "priority": column.get("priority", 0),
        }

    def cells(self, body: bytes, now: datetime) -> list[Any]:
        tree = msgspec.json.decode(body)
        return [
            tree["metadata"]["name"],
            *(_cell(path, column["type"], tree, now) for path, column in zip(self._paths, self._wanted, strict=True)),
        ]


def _path(text: str) -> JsonPath | None:
    """None for one that cannot be read: its cells stay empty."""
    try:
        return JsonPath(text)
    except BadPath:
        return None


def _cell(path: JsonPath | None, kind: str, tree: dict[str, Any], now: datetime) -> Any:
    found = path.find(tree) if path is not None else []
    if not found or found[0] is None:
        return None
    return _shown(found[0], kind, now) if len(found) == 1 or kind != "string" else ",".join(str(_text(item)) for item in found)


def _shown(value: Any, kind: str, now: datetime) -> Any:
    """A value that is not of the column's type is not shown."""
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date":
        return _date(value, now)
    return _text(value)


def _text(value: Any) -> str:
    """As Go prints it: maps and lists as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _date(value: Any, now: datetime) -> str:
    if not isinstance(value, str):
        return "<invalid>"
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"
