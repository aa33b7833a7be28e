"""What a schema lets a value be, as expressions see it: its type, its members, and how large it can be in one request.

In: a compiled ``Schema``. Out: a ``Shape``. Where the schema sets no bound the bound is what fits into a request beside the least
that each item needs.
"""

from __future__ import annotations

from bareboat.api.custom.schema import Schema, compiled
from bareboat.api.custom.views import escaped
from bareboat.cel.shapes import ANY, BOOL, DOUBLE, DURATION, INT, LARGEST, TIMESTAMP, Shape, listed, text

_BYTES_PER_CHARACTER = 4
_LEAST = {"string": 2, "boolean": 4, "array": 2}
_FORMATS = {"date": TIMESTAMP, "date-time": TIMESTAMP, "duration": DURATION}
_KINDS = {"integer": INT, "number": DOUBLE, "boolean": BOOL}
_STRING = compiled({"type": "string"})
_NAMES = compiled({"type": "object", "properties": {name: {"type": "string"} for name in ("name", "generateName")}})


def declared(schema: Schema, *, resource: bool = False) -> Shape:
    """``resource``: a whole object, with the members that every object has."""
    if schema.int_or_string or not schema.kind:
        return ANY
    found = _KINDS.get(schema.kind)
    if found is not None:
        return found
    if schema.kind == "string":
        return _text(schema)
    if schema.kind == "array":
        items = schema.items
        return ANY if items is None else listed(most(schema), declared(items))
    if isinstance(schema.additional, Schema):
        values = schema.additional
        return Shape("map", most(schema), element=lambda: declared(values))
    return _object(schema, resource=resource or schema.embedded)


def most(schema: Schema) -> int:
    """How many items or members it can have."""
    limits = schema.values or {}
    if schema.kind == "array":
        items = schema.items
        return int(limits.get("maxItems", (LARGEST - 2) // ((least(items) if items is not None else 1) + 1)))
    below = schema.additional
    return int(limits.get("maxProperties", (LARGEST - 2) // ((least(below) if isinstance(below, Schema) else 1) + 4)))


def least(schema: Schema) -> int:
    """The bytes that the smallest value takes in a request."""
    if schema.kind != "object" or isinstance(schema.additional, Schema):
        return _LEAST.get(schema.kind, 2 if schema.kind == "object" else 1)
    needed = ((name, schema.properties[name]) for name in schema.required if name in schema.properties)
    return 2 + sum(len(name) + 4 + least(child) for name, child in needed)


def _text(schema: Schema) -> Shape:
    if schema.format in _FORMATS:
        return _FORMATS[schema.format]
    limits = schema.values or {}
    size = LARGEST - 2
    if "maxLength" in limits:
        size = min(size, limits["maxLength"] * _BYTES_PER_CHARACTER)
    elif "enum" in limits:
        size = max((len(v) for v in limits["enum"] if isinstance(v, str)), default=0)
    return Shape("bytes", size) if schema.format == "byte" else text(size)


def _object(schema: Schema, *, resource: bool) -> Shape:
    names = {escaped(name): child for name, child in schema.properties.items()}
    if resource:
        given = names.get("metadata")
        names = {"apiVersion": _STRING, "kind": _STRING, **names}
        names["metadata"] = _NAMES if given is None or not given.properties else given

    def member(name: str) -> Shape | None:
        child = names.get(name)
        return None if child is None or _hidden(child) else declared(child)

    return Shape("object", max(1, len(names)), members=member, element=ANY)


def _hidden(schema: Schema) -> bool:
    """What has no type cannot be named in a rule."""
    return not schema.kind and not schema.int_or_string
