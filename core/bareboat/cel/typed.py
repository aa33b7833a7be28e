"""Built-in kinds as expressions see them: their published types as shapes, made as far as an expression looks."""

from __future__ import annotations

from functools import cache

from bareboat.cel.shapes import ANY, BOOL, DOUBLE, INT, LARGEST, TIMESTAMP, Shape, listed, text
from bareboat.models import schema
from bareboat.models.schema import TypeSchema

_SCALARS = {"bool": BOOL, "int32": INT, "int64": INT, "double": DOUBLE, "time": TIMESTAMP, "microtime": TIMESTAMP}
_TEXT = text(LARGEST)


@cache
def of_type(cls: type) -> Shape:
    """Of a class of models."""
    return _of_schema(schema.of(cls))


def _of_schema(found: TypeSchema) -> Shape:
    fields = found.by_name

    def member(name: str) -> Shape | None:
        field = fields.get(name)
        return None if field is None else _of_field(field.shape)

    return Shape("object", max(1, len(fields)), members=member, element=ANY)


def _of_field(shape: str) -> Shape:
    kind = schema.shape_kind(shape)
    if kind == "list":
        return listed(LARGEST, _of_field(shape[2:]))
    if kind == "map":
        return Shape("map", LARGEST, element=lambda: _of_field(shape[2:]))
    if kind == "struct":
        inner = schema.by_shape(shape)
        return ANY if inner is None or not inner.fields else _of_schema(inner)
    return _TEXT if kind == "string" else _SCALARS.get(kind, ANY)


def _record(**members: Shape) -> Shape:
    return Shape("object", len(members), members=members.get, element=ANY)


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, _TEXT)


def _request() -> Shape:
    user = _record(**_texts("username", "uid"), groups=listed(LARGEST, _TEXT), extra=Shape("map", LARGEST, element=listed(LARGEST, _TEXT)))
    kind, resource = _record(**_texts("group", "version", "kind")), _record(**_texts("group", "version", "resource"))
    strings = _texts("subResource", "requestSubResource", "name", "namespace", "operation")
    pairs = {"kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource}
    return _record(**strings, **pairs, userInfo=user, dryRun=BOOL, options=ANY)


#: The variable ``request`` of policies and match conditions.
REQUEST = _request()
