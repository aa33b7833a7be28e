"""A metav1.Table of objects given as bytes; rows carry the object's metadata, the whole object or nothing, as asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from bareboat.api.custom.columns import Columns
from bareboat.api.operation import Operation
from bareboat.api.tables.cells import CELLS
from bareboat.api.tables.descriptions import describe
from bareboat.api.tables.values import age
from bareboat.models.codec import decode
from bareboat.models.scheme import Resource
from bareboat.models.status import BadRequest

_DEFAULT = "Name | Age"


class _Raw(msgspec.Struct):
    metadata: msgspec.Raw


@cache
def _columns_text() -> dict[str, str]:
    text = resources.files("bareboat.api.tables").joinpath("columns.txt").read_text()
    pairs = (line.split(": ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return dict(pairs)


@cache
def columns(api_version: str, plural: str) -> list[dict[str, Any]]:
    """TableColumnDefinitions of a resource; name and age for one that has none of its own."""
    found = []
    for part in _columns_text().get(f"{api_version}/{plural}", _DEFAULT).split(" | "):
        rest, _, priority = part.partition("@")
        name, _, kind = rest.partition(":")
        found.append(
            {
                "name": name,
                "type": kind or "string",
                "format": "name" if name in ("Name", "Attacher") else "",
                "description": describe(f"{api_version}/{plural}", name),
                "priority": int(priority or 0),
            }
        )
    return found


def table(op: Operation, bodies: Sequence[bytes], meta: dict[str, Any], *, columns: bool = True) -> dict[str, Any]:
    """The Table as a tree. ``columns`` False leaves the definitions out (later events of a watch)."""
    include = op.request.first("includeObject") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise BadRequest(f'includeObject: Unsupported value: "{include}": supported values: "Metadata", "None", "Object"')
    shown = Columns(op.custom.version) if op.custom is not None else None
    rows = [_row(op, body, include, shown) for body in bodies]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": (definitions(op.resource) if shown is None else shown.definitions) if columns else None,
        "rows": rows,
    }


def definitions(resource: Resource) -> list[dict[str, Any]]:
    return columns(resource.api_version, resource.plural)


def _row(op: Operation, body: bytes, include: str, shown: Columns | None) -> dict[str, Any]:
    if shown is not None:
        row: dict[str, Any] = {"cells": shown.cells(body, op.clock.now())}
    else:
        cls: Any = op.resource.type
        row = {"cells": cells(op.resource, decode(cls, body), op)}
    if include == "Object":
        row["object"] = msgspec.Raw(body)
    elif include == "Metadata":
        metadata = bytes(msgspec.json.decode(body, type=_Raw).metadata)
        row["object"] = msgspec.Raw(b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":' + metadata + b"}")
    return row


def cells(resource: Resource, obj: Any, op: Operation) -> list[Any]:
    now = op.clock.now()
    maker = CELLS.get(resource.kind if resource.group != "events.k8s.io" else "EventV1")
    if maker is not None:
        return maker(obj, now)
    kinds = definitions(resource)
    if any(c["name"] == "Created At" for c in kinds):
        return [obj.metadata.name, obj.metadata.creationTimestamp]
    return [obj.metadata.name, age(obj.metadata.creationTimestamp, now)]
