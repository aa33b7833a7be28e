"""The shape of a kind as ownership sees it: what is one value, what is a map of fields, what is a list with keys.

In: a type of the models (or a shape made from a custom resource's schema). Out: an `Atom`, its fields made when first asked for,
because types may hold themselves. Lists without a list type and maps marked atomic are owned as one value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from bareboat.models import schema

#: The value of a list key that a body may leave out, by (type, key): as the published definitions default it.
KEY_DEFAULTS: dict[tuple[str, str], Any] = {
    ("core_v1.ContainerPort", "protocol"): "TCP",
    ("core_v1.ServicePort", "protocol"): "TCP",
    ("core_v1.LocalObjectReference", "name"): "",
}

Kind = Literal["leaf", "map", "list", "set"]


class Atom:
    """``leaf``: one value, whatever is in it. ``map``: named ``fields``, or any key to ``element``; a value that is no map is one value.

    ``list``: items with ``keys``. ``set``: scalars.
    """

    __slots__ = ("_fields", "_make", "defaults", "element", "keys", "kind", "type")

    def __init__(
        self,
        kind: Kind,
        *,
        make: Callable[[], dict[str, Atom]] | None = None,
        element: Atom | None = None,
        keys: tuple[str, ...] = (),
        defaults: dict[str, Any] | None = None,
        type_: str = "",
    ) -> None:
        self.kind = kind
        self.element = element
        self.keys = keys
        self.defaults = defaults or {}
        self.type = type_
        self._make = make
        self._fields: dict[str, Atom] | None = None

    @property
    def fields(self) -> dict[str, Atom]:
        """Named fields; empty where any key may come."""
        if self._fields is None:
            self._fields = self._make() if self._make is not None else {}
        return self._fields

    def child(self, name: str) -> Atom | None:
        """None: no such field."""
        return self.fields.get(name) or self.element


LEAF = Atom("leaf")
#: What no schema describes: maps are walked, everything else is one value.
DEDUCED = Atom("map")
DEDUCED.element = DEDUCED
#: What the server keeps for itself; nobody owns it.
METADATA = "meta_v1.ObjectMeta"


@cache
def of_type(key: str) -> Atom:
    """By ``core_v1.Pod``."""
    kind = schema.by_key(key)
    if kind.map_type == "atomic":
        return Atom("leaf", type_=key)
    return Atom("map", make=lambda: {f.json_name: _of_field(f) for f in kind}, type_=key)


def _of_field(field: schema.Field) -> Atom:
    if field.map_type == "atomic":
        return _leaf(field.shape)
    if field.kind != "list":
        return _of_shape(field.shape)
    if field.list_type == "set":
        return Atom("set", type_=field.shape)
    if field.list_type != "map":
        return _leaf(field.shape)
    item = _of_shape(field.item)
    defaults = {name: value for name in field.map_keys if (value := _key_default(item.type, name)) is not None}
    return Atom("list", element=item, keys=tuple(sorted(field.map_keys)), defaults=defaults, type_=field.shape)


def _key_default(type_key: str, name: str) -> Any:
    """A key that is always written is zero where a body leaves it out."""
    if (type_key, name) in KEY_DEFAULTS:
        return KEY_DEFAULTS[type_key, name]
    field = schema.by_key(type_key).by_name[name]
    if not field.always:
        return None
    return 0 if field.kind in ("int32", "int64") else ""


@cache
def _leaf(shape: str) -> Atom:
    return Atom("leaf", type_=shape)


@cache
def _of_shape(shape: str) -> Atom:
    kind = schema.shape_kind(shape)
    if kind == "struct":
        return of_type(shape)
    if kind == "map":
        return Atom("map", element=_of_shape(shape[2:]), type_=shape)
    return _leaf(shape)
