"""A changed object made of its stored self: the parts that a change names are made anew, the others are taken over.

A part is a member of the object: metadata, spec, status, data … Parts that are taken over are copied one level deep: to set a field
of one does not reach the stored object, and comparing one with the stored one costs nothing. metadata has its managedFields taken
over unless the change names them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import msgspec

from bareboat.api.patch.strategic import DIRECTIVE, RETAIN
from bareboat.models.codec import to_tree

Tree = dict[str, Any]
_BOOKS = "managedFields"
_TYPE = frozenset({"kind", "apiVersion"})


@dataclass(frozen=True, slots=True)
class Touched:
    """``names`` of the parts that may differ; ``books`` says whether metadata.managedFields may."""

    names: frozenset[str]
    books: bool = False


def of_merge(document: Tree) -> Touched | None:
    """Of a merge patch or a strategic one; None for one with a directive about the whole object."""
    if any(name.startswith("$") for name in document):
        return None
    meta = document.get("metadata", {})
    books = not isinstance(meta, dict) or any(_BOOKS in name or name in (DIRECTIVE, RETAIN) for name in meta)
    return Touched(_TYPE.union(document), books)


def of_json_patch(operations: list[Any]) -> Touched | None:
    """None for one that has a fault, or is about the whole object."""
    names, books = set(_TYPE), False
    for operation in operations:
        if not isinstance(operation, dict) or "path" not in operation:
            return None
        for pointer in (operation["path"], operation.get("from", operation["path"])):
            start, name, *below = pointer.split("/", 3) if isinstance(pointer, str) and "/" in pointer else ("", "")
            if start or not name or "~" in name:
                return None
            names.add(name)
            books = books or (name == "metadata" and below[:1] in ([], [_BOOKS]))
    return Touched(frozenset(names), books)


def plain(cls: Any) -> bool:
    """Whether the parts of a type are called in JSON as they are here."""
    return cls is not None and cls.__struct_fields__ == cls.__struct_encode_fields__


def tree_of(old: Any, touched: Touched) -> Tree:
    """The touched parts."""
    lean = type(old)()
    for name in old.__struct_fields__:
        if name in touched.names:
            setattr(lean, name, getattr(old, name))
    if "metadata" in touched.names and not touched.books:
        lean.metadata = copy.copy(old.metadata)
        lean.metadata.managedFields = []
    return {name: value for name, value in to_tree(lean).items() if name in touched.names}


def complete(new: Any, old: Any, touched: Touched) -> None:
    """Give ``new``, which has the touched parts, the others."""
    for name in old.__struct_fields__:
        if name not in touched.names:
            setattr(new, name, _metadata(old.metadata) if name == "metadata" else _taken_over(getattr(old, name)))
    if not touched.books:
        new.metadata.managedFields = old.metadata.managedFields


def _metadata(meta: Any) -> Any:
    taken = copy.copy(meta)
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        setattr(taken, name, copy.copy(getattr(meta, name)))
    return taken


def _taken_over(part: Any) -> Any:
    return copy.copy(part) if isinstance(part, (msgspec.Struct, dict, list)) else part
