"""A structural schema, compiled: the tree of a definition becomes small nodes that the walks (prune, default, check …) follow.

In: the JSON of ``openAPIV3Schema``. Out: a ``Schema``. Nothing is checked here: the definition was when it was written.
"""

from __future__ import annotations

from typing import Any

import msgspec

Tree = dict[str, Any]
MISSING: Any = object()


class Schema:
    """One level. ``default`` is MISSING where there is none; ``values`` what restricts single values; ``deep`` whether anything
    below it has a default (so that walks may stop early)."""

    __slots__ = (
        "additional",
        "branches",
        "default",
        "embedded",
        "format",
        "int_or_string",
        "items",
        "keyed",
        "kind",
        "list_keys",
        "list_type",
        "map_type",
        "nullable",
        "preserve",
        "properties",
        "required",
        "rules",
        "values",
    )

    def __init__(self, tree: Tree) -> None:
        self.kind: str = tree.get("type", "")
        self.nullable: bool = tree.get("nullable", False)
        self.preserve: bool = tree.get("x-kubernetes-preserve-unknown-fields", False)
        self.int_or_string: bool = tree.get("x-kubernetes-int-or-string", False)
        self.embedded: bool = tree.get("x-kubernetes-embedded-resource", False)
        self.list_type: str = tree.get("x-kubernetes-list-type", "")
        self.list_keys: tuple[str, ...] = tuple(tree.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = tree.get("x-kubernetes-map-type", "")
        self.default: Any = tree.get("default", MISSING)
        self.format: str = tree.get("format", "")
        self.required: tuple[str, ...] = tuple(tree.get("required", ()))
        properties = tree.get("properties")
        self.properties: dict[str, Schema] = {n: compiled(child) for n, child in properties.items()} if properties else _NOTHING
        self.items: Schema | None = compiled(tree["items"]) if isinstance(tree.get("items"), dict) else None
        additional = tree.get("additionalProperties")
        #: a schema, True for anything, None for nothing
        self.additional: Schema | bool | None = compiled(additional) if isinstance(additional, dict) else additional or None
        self.values: Tree | None = {k: tree[k] for k in _VALUES if k in tree} or None if tree.keys() & _VALUE_SET else None
        self.branches: Branches | None = Branches(tree) if any(k in tree for k in _JUNCTORS) else None
        self.rules: tuple[Tree, ...] = tuple(tree.get("x-kubernetes-validations", ()))
        self.keyed = self.list_type in ("map", "set")

    def property(self, name: str) -> Schema | None:
        """The schema of a member; None if nothing is said of it."""
        found = self.properties.get(name)
        if found is not None:
            return found
        return self.additional if isinstance(self.additional, Schema) else None


def compiled(tree: Tree) -> Schema:
    """Levels without anything below are the same object wherever they say the same: most of a definition is plain strings."""
    if not _NESTING.isdisjoint(tree):
        return Schema(tree)
    key = _encode({name: value for name, value in tree.items() if name != "description"})
    known = _leaves.get(key)
    if known is None:
        if len(_leaves) >= _MOST_LEAVES:
            _leaves.clear()
        known = _leaves[key] = Schema(tree)
    return known


class Branches:
    """The logic junctors of a level."""

    __slots__ = ("all_of", "any_of", "none_of", "one_of")

    def __init__(self, tree: Tree) -> None:
        self.all_of = tuple(Schema(child) for child in tree.get("allOf", ()))
        self.any_of = tuple(Schema(child) for child in tree.get("anyOf", ()))
        self.one_of = tuple(Schema(child) for child in tree.get("oneOf", ()))
        self.none_of = Schema(tree["not"]) if "not" in tree else None


_encode = msgspec.json.Encoder(order="sorted").encode
_leaves: dict[bytes, Schema] = {}
_MOST_LEAVES = 20_000
_NESTING = frozenset(("properties", "items", "additionalProperties", "allOf", "anyOf", "oneOf", "not", "x-kubernetes-validations"))
_JUNCTORS = ("allOf", "anyOf", "oneOf", "not")
_VALUES = (
    *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf"),
    *("maxLength", "minLength", "pattern", "enum"),
    *("maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties"),
)
_VALUE_SET = frozenset(_VALUES)
_NOTHING: dict[str, Schema] = {}

#: What a definition without a schema says: anything goes.
ANYTHING = Schema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
