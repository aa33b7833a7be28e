"""Walks over trees: what a write added, changed and removed, and which fields an applied configuration names.

The rules are those of structured merge and diff: a field that was not there is owned with everything in it; a container that was
there and is empty on one side is walked; items of keyed lists are owned one by one; equal items twice are owned as a bare item.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from bareboat.api.managed.atoms import LEAF, Atom
from bareboat.api.managed.sets import EMPTY, SELF, Node

_MISSING = object()
_encode = msgspec.json.encode


class NoKey(ValueError):
    """An item of a keyed list lacks a key."""


@dataclass(slots=True)
class Comparison:
    added: Node = field(default_factory=dict)
    modified: Node = field(default_factory=dict)
    removed: Node = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


def element(item: Any, atom: Atom) -> str:
    """The path element of an item of a keyed list or a set. Raises NoKey."""
    if atom.kind == "set":
        return f"v:{_encode(item).decode()}"
    found = {}
    for key in atom.keys:
        value = item.get(key, atom.defaults.get(key)) if isinstance(item, dict) else None
        if value is None:
            raise NoKey(f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)')
        found[key] = value
    return f"k:{_encode(found).decode()}"


def indexed(items: Any, atom: Atom) -> dict[str, list[Any]]:
    """The items by path element; more than one where a key comes twice."""
    out: dict[str, list[Any]] = {}
    for item in items or ():
        out.setdefault(element(item, atom), []).append(item)
    return out


def whole(value: Any, atom: Atom) -> Node:
    """Everything of a value that was not there before."""
    kind = atom.kind
    if kind == "leaf" or not value or (kind == "map" and not isinstance(value, dict)):
        return EMPTY
    out: Node = {SELF: EMPTY}
    if kind == "map":
        fields, other = atom.fields, atom.element or LEAF
        for name, item in value.items():
            below = fields.get(name, other)
            out["f:" + name] = EMPTY if below.kind == "leaf" or not item else whole(item, below)
    else:
        below = atom.element or LEAF
        for item in value:
            at = element(item, atom)
            out[at] = EMPTY if at in out else whole(item, below)
    return out


def compare(old: dict[str, Any], new: dict[str, Any], atom: Atom) -> Comparison:
    """Of two objects of one kind."""
    out = Comparison({}, {}, {})
    _maps(old, new, atom, out)
    return out


def _maps(old: Any, new: Any, atom: Atom, out: Comparison) -> None:
    fields, other = atom.fields, atom.element or LEAF
    for name, right in (new or EMPTY).items():
        left = old.get(name, _MISSING) if old else _MISSING
        if left is _MISSING:
            out.added["f:" + name] = whole(right, fields.get(name, other))
        elif left != right:
            _changed("f:" + name, left, right, fields.get(name, other), out)
    for name, left in (old or EMPTY).items():
        if not new or name not in new:
            out.removed["f:" + name] = whole(left, fields.get(name, other))


def _changed(at: str, old: Any, new: Any, atom: Atom, out: Comparison) -> None:
    """Two different values of one field or item."""
    if atom.kind == "leaf" or not (old or new) or not _alike(old, new, dict if atom.kind == "map" else list):
        out.modified[at] = EMPTY
        return
    below = Comparison({}, {}, {})
    if atom.kind == "map":
        _maps(old, new, atom, below)
    else:
        _lists(old, new, atom, below)
    if below.added:
        out.added[at] = below.added
    if below.modified:
        out.modified[at] = below.modified
    if below.removed:
        out.removed[at] = below.removed


def _alike(old: Any, new: Any, wanted: type) -> bool:
    """Whether both are containers of the sort, or not there."""
    return all(isinstance(value, wanted) or value is None for value in (old, new))


def _lists(old: Any, new: Any, atom: Atom, out: Comparison) -> None:
    lefts, rights = indexed(old, atom), indexed(new, atom)
    item = atom.element or LEAF
    for at in {**lefts, **rights}:
        left, right = lefts.get(at, ()), rights.get(at, ())
        if not left:
            out.added[at] = whole(right[0], item) if len(right) == 1 else EMPTY
        elif not right:
            out.removed[at] = whole(left[0], item) if len(left) == 1 else EMPTY
        elif len(left) == len(right) == 1:
            if left[0] != right[0]:
                _changed(at, left[0], right[0], item, out)
        elif left != right:
            out.modified[at] = EMPTY


def named(value: Any, atom: Atom) -> Node:
    """The fields that a configuration names. A struct is not owned itself; a key of a free map and an item of a list are."""
    out: Node = {}
    if atom.kind == "map":
        for name, item in (value if isinstance(value, dict) else EMPTY).items():
            known = atom.fields.get(name)
            out["f:" + name] = _named_field(item, known or atom.element or LEAF, known is not None)
            if out["f:" + name] is None:
                del out["f:" + name]
    elif atom.kind in ("list", "set"):
        for at, items in indexed(value, atom).items():
            below = named(items[0], atom.element or LEAF) if len(items) == 1 else EMPTY
            out[at] = {SELF: EMPTY, **below} if below else EMPTY
    return out


def _named_field(value: Any, atom: Atom, is_field: bool) -> Node | None:
    """None where nothing is owned: a list without items."""
    if atom.kind == "leaf" or value is None or value == {} or (atom.kind == "map" and not isinstance(value, dict)):
        return EMPTY
    below = named(value, atom)
    if not is_field:
        return {SELF: EMPTY, **below} if below else EMPTY
    return below or None
