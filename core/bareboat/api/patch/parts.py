"""A changed object made of its stored self: the parts that a change names are made anew, the others are taken over.

A part is a member of the object: metadata, spec, status, data … and in metadata each member is one of its own. Parts that are taken
over are copied one level deep: to set a field of one does not reach the stored object, and comparing it with the stored one costs
nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from bareboat.api.patch.strategic import DIRECTIVE, RETAIN
from bareboat.models.codec import to_tree

Tree = dict[str, Any]
META = "metadata"
#: What is written of metadata even if it is empty: nothing.
_ABSENT: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Touched:
    """``names`` of the parts that may differ, ``below`` those of metadata; None: all of them."""

    names: frozenset[str]
    below: frozenset[str] | None = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.names


def of_trees(*trees: Tree) -> Touched:
    """What these trees, which may be less than a whole object, speak of."""
    metas = [tree[META] for tree in trees if META in tree]
    whole = not all(isinstance(meta, dict) for meta in metas)
    return Touched(frozenset().union(*trees), None if whole else frozenset().union(*metas))


def of_merge(document: Tree) -> Touched | None:
    """Of a merge patch or a strategic one; None for one with a directive about the whole object."""
    if any(name.startswith("$") for name in document):
        return None
    found = of_trees(document)
    if found.below and any(name.startswith("$") for name in found.below):
        whole = DIRECTIVE in found.below or RETAIN in found.below
        return Touched(found.names, None if whole else frozenset(name.rpartition("/")[2] for name in found.below))
    return found


def of_json_patch(operations: list[Any]) -> Touched | None:
    """None for one that has a fault, or is about the whole object."""
    names: set[str] = set()
    below: set[str] | None = set()
    for operation in operations:
        if not isinstance(operation, dict) or "path" not in operation:
            return None
        for pointer in (operation["path"], operation.get("from", operation["path"])):
            if not isinstance(pointer, str) or not pointer.startswith("/"):
                return None
            _, name, *rest = pointer.split("/", 3)
            if not name or "~" in name + "".join(rest[:1]):
                return None
            names.add(name)
            if name == META:
                below = below | {rest[0]} if rest and below is not None else None
    return Touched(frozenset(names), below if below is None else frozenset(below))


@cache
def plain(cls: Any) -> bool:
    """Whether the parts of a type are called in JSON as they are here."""
    return cls is not None and cls.__struct_fields__ == cls.__struct_encode_fields__


def tree_of(obj: Any, touched: Touched) -> Tree:
    """The touched parts of an object, where they are written at all."""
    tree: Tree = {}
    beside = []
    for name in touched.names:
        part = getattr(obj, name, None)
        if name == META:
            tree[META] = _tree_of_metadata(part, touched.below)
        elif isinstance(part, msgspec.Struct):
            tree[name] = to_tree(part)
        else:
            beside.append(name)
    return tree | _only(obj, beside) if beside else tree


def _tree_of_metadata(meta: Any, names: Iterable[str] | None) -> Tree:
    tree = {}
    for name in meta.__struct_fields__ if names is None else names:
        value = getattr(meta, name, None)
        if value not in _ABSENT and (value or name != "generation"):
            tree[name] = msgspec.to_builtins(value)
    return tree


def _only(obj: Any, names: list[str]) -> Tree:
    """Of an object that has nothing else: whether a part is written when it is empty is up to the object."""
    lean = type(obj)()
    for name in names:
        if hasattr(obj, name):
            setattr(lean, name, getattr(obj, name))
    tree = to_tree(lean)
    return {name: tree[name] for name in names if name in tree}


def complete(new: Any, old: Any, touched: Touched) -> None:
    """Give ``new``, which has the touched parts, the others."""
    for name in old.__struct_fields__:
        if name == META:
            _complete_metadata(new.metadata, old.metadata, touched.below if META in touched else frozenset())
        elif name not in touched:
            setattr(new, name, _taken_over(getattr(old, name)))


def _complete_metadata(new: Any, old: Any, names: frozenset[str] | None) -> None:
    """The list of managedFields is shared: nobody changes it, and that it is the same says that nothing was said about it."""
    for name in old.__struct_fields__ if names is not None else ():
        if name not in (names or ()):
            value = getattr(old, name)
            setattr(new, name, value if name == "managedFields" else _taken_over(value))


def _taken_over(part: Any) -> Any:
    return copy.copy(part) if isinstance(part, (msgspec.Struct, dict, list)) else part


def what_differs(old: Any, new: Any, below: Iterable[str]) -> tuple[Tree, Tree]:
    """The parts that differ, those of metadata only if they are ``below``."""
    metas = frozenset(name for name in below if getattr(old.metadata, name) != getattr(new.metadata, name))
    names = {name for name in old.__struct_fields__ if name != META and getattr(old, name) != getattr(new, name)}
    touched = Touched(frozenset(names | {META}), metas)
    return tree_of(old, touched), tree_of(new, touched)
