"""A changed object made of its stored self: the parts that a change names are made anew, the others are taken over.

A part is a member of the object: metadata, spec, status, data … and in metadata each member is one of its own. Parts that are taken
over are copied one level deep: to set a field of one does not reach the stored object, and comparing it with the stored one costs
nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from bareboat.api.patch.strategic import DIRECTIVE, RETAIN
from bareboat.models.codec import plain as plain_tree
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


def of_trees(*trees: Tree) -> Touched:
    """What these trees, which may be less than a whole object, speak of."""
    metas = [tree[META] for tree in trees if META in tree]
    whole = not all(isinstance(meta, dict) for meta in metas)
    return Touched(frozenset().union(*trees), None if whole else frozenset().union(*metas))


def of_merge(document: Tree) -> Touched | None:
    """Of a merge patch or a strategic one; None for one with a directive about the whole object."""
    if "$" in "".join(document):
        return None
    found = of_trees(document)
    if not found.below or "$" not in "".join(found.below):
        return found
    whole = DIRECTIVE in found.below or RETAIN in found.below
    return Touched(found.names, None if whole else frozenset(name.rpartition("/")[2] for name in found.below))


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
    """The touched parts of an object, where they are written at all, in its order."""
    tree: Tree = {}
    for name in obj.__struct_fields__:
        if name in touched.names:
            part = getattr(obj, name)
            if name == META:
                tree[META] = _tree_of_metadata(part, touched.below)
            elif isinstance(part, msgspec.Struct):
                tree[name] = to_tree(part)
            elif isinstance(part, str) and part:
                tree[name] = part
            else:
                tree.update(_alone(obj, name))
    return tree


def _tree_of_metadata(meta: Any, names: Collection[str] | None) -> Tree:
    tree = {}
    for name in meta.__struct_fields__:
        if names is None or name in names:
            value = getattr(meta, name)
            if value not in _ABSENT and (value or name != "generation"):
                tree[name] = plain_tree(value)
    return tree


def _alone(obj: Any, name: str) -> Tree:
    """One part, of an object that has no other: whether it is written when it is empty is up to the object."""
    lean = type(obj)()
    setattr(lean, name, getattr(obj, name))
    tree = to_tree(lean)
    return {name: tree[name]} if name in tree else {}


def complete(new: Any, old: Any, touched: Touched) -> None:
    """Give ``new``, which has the touched parts, the others."""
    for name in old.__struct_fields__:
        if name not in touched.names and name != META:
            setattr(new, name, _taken_over(getattr(old, name)))
    below = touched.below if META in touched.names else frozenset()
    if below is not None:
        new.metadata = _metadata(new.metadata, old.metadata, below)


def _metadata(new: Any, old: Any, below: frozenset[str]) -> Any:
    """The list of managedFields is shared: nobody changes it, and that it is the same says that nothing was said about it."""
    taken = copy.copy(old)
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        setattr(taken, name, getattr(old, name).copy())
    for name in below:
        if hasattr(new, name):
            setattr(taken, name, getattr(new, name))
    return taken


def _taken_over(part: Any) -> Any:
    if isinstance(part, (dict, list)):
        return part.copy()
    return copy.copy(part) if isinstance(part, msgspec.Struct) else part


def what_differs(old: Any, new: Any, below: Collection[str]) -> tuple[Tree, Tree]:
    """The parts that differ, and of those only the fields that do; of metadata those among ``below``."""
    before: Tree = {META: {}}
    after: Tree = {META: {}}
    metas = [name for name in below if getattr(old.metadata, name) != getattr(new.metadata, name)]
    if metas:
        before[META], after[META] = _tree_of_metadata(old.metadata, metas), _tree_of_metadata(new.metadata, metas)
    for name in old.__struct_fields__:
        was, mine = getattr(old, name), getattr(new, name)
        if name == META or was == mine:
            continue
        if isinstance(was, msgspec.Struct) and isinstance(mine, msgspec.Struct):
            before[name], after[name] = _fields_that_differ(was, mine)
        else:
            before |= _alone(old, name)
            after |= _alone(new, name)
    return before, after


def _fields_that_differ(old: Any, new: Any) -> tuple[Tree, Tree]:
    before, after = type(old)(), type(new)()
    for name in old.__struct_fields__:
        was, mine = getattr(old, name), getattr(new, name)
        if was != mine:
            setattr(before, name, was)
            setattr(after, name, mine)
    return to_tree(before), to_tree(after)
