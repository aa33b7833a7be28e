"""The shape of a custom kind as ownership sees it: a structural schema as an ``Atom``.

Lists are one value unless they are sets or maps, maps are walked unless they are atomic. What the schema does not describe but
keeps is walked by what is found there: maps by member, everything else as one value.
"""

from __future__ import annotations

from typing import Any

from bareboat.api.custom.schema import MISSING, Schema
from bareboat.api.managed import atoms
from bareboat.api.managed.atoms import LEAF, Atom


def atom_of(schema: Schema) -> Atom:
    """Of a whole object: metadata is that of every object."""
    return Atom("map", make=lambda: _root_fields(schema), element=atoms.DEDUCED if schema.preserve else None)


def _root_fields(schema: Schema) -> dict[str, Atom]:
    fields = {name: _atom(child) for name, child in schema.properties.items()}
    return {**fields, "apiVersion": LEAF, "kind": LEAF, "metadata": atoms.of_type(atoms.METADATA)}


def _atom(schema: Schema) -> Atom:
    if schema.kind == "array" or (schema.items is not None and not schema.kind):
        return _list(schema)
    if schema.kind == "object":
        return _map(schema)
    if not schema.kind and schema.preserve and not schema.int_or_string:
        return atoms.DEDUCED
    return LEAF


def _map(schema: Schema) -> Atom:
    if schema.map_type == "atomic":
        return LEAF
    element = None
    if isinstance(schema.additional, Schema):
        element = _atom(schema.additional)
    elif schema.preserve or schema.additional or not schema.properties:
        element = atoms.DEDUCED
    if schema.embedded:
        return Atom("map", make=lambda: _embedded_fields(schema), element=element)
    return Atom("map", make=lambda: {name: _atom(child) for name, child in schema.properties.items()}, element=element)


def _embedded_fields(schema: Schema) -> dict[str, Atom]:
    fields = {name: _atom(child) for name, child in schema.properties.items()}
    return {**fields, "apiVersion": LEAF, "kind": LEAF, "metadata": atoms.of_type(atoms.METADATA)}


def _list(schema: Schema) -> Atom:
    if schema.items is None or not schema.keyed:
        return LEAF
    item = _atom(schema.items)
    if schema.list_type == "set":
        return Atom("set")
    defaults: dict[str, Any] = {
        name: below.default
        for name in schema.list_keys
        if (below := schema.items.properties.get(name)) is not None and below.default is not MISSING
    }
    return Atom("list", element=item, keys=tuple(sorted(schema.list_keys)), defaults=defaults)
