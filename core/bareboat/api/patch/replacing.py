"""The body of a PUT beside what is stored: parts that are the same bytes are not read again.

Only for bodies that are spelled as they are stored, but for a part or two: what clients send that read an object, change it and write
it back. None means that the body has to be read as a whole, by whoever knows how to say what is wrong with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.api import body
from bareboat.api.operation import Operation
from bareboat.api.patch import parts
from bareboat.models.codec import DecodeError, decode_strict

Raws = dict[str, msgspec.Raw]
_split = msgspec.json.Decoder(Raws).decode


def replacement(op: Operation, old: Any, stored: bytes) -> Any | None:
    """The new object, defaulted. ``stored`` are the bytes of ``old``."""
    data = op.request.body
    cls: Any = op.stored.type
    plain = op.custom is None and op.same_version and parts.plain(cls)
    if not plain or op.field_validation == "Ignore" or body.media_type(op.request.content_type) != body.JSON:
        return None
    theirs, ours = _members(data), _split(stored)
    if theirs is None or any(theirs.get(name) != ours[name] for name in ("kind", "apiVersion")):
        return None
    changed, touched = _changed(theirs, ours)
    left = _joined(changed)
    if not touched or body.has_empty_list(left) is not None:
        return None
    try:
        new, faults = decode_strict(cls, left)
    except DecodeError:
        return None
    if faults:
        return None
    parts.complete(new, old, touched)
    op.strategy.default(new)
    return new


def _members(data: bytes | msgspec.Raw) -> Raws | None:
    """The members of an object that has each once and no space between them; None for anything else."""
    try:
        found = _split(data)
        size = sum(len(name.encode()) + len(value) for name, value in found.items())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if len(data) == size + 4 * len(found) + 1 and found else None


def _changed(theirs: Raws, ours: Raws) -> tuple[Raws, parts.Touched | None]:
    """Their members that are not ours, and the parts that may differ."""
    changed, names = _differing(theirs, ours)
    if "metadata" not in names:
        return changed, parts.Touched(names)
    mine = _members(changed["metadata"]) if "metadata" in changed else None
    if mine is None:
        return changed, None
    kept, below = _differing(mine, _split(ours["metadata"]))
    changed["metadata"] = msgspec.Raw(_joined(kept))
    return changed, parts.Touched(names, below)


def _differing(theirs: Raws, ours: Raws) -> tuple[Raws, frozenset[str]]:
    """Their members that are not ours, and the names of those and of ours that they have not."""
    changed = {name: value for name, value in theirs.items() if ours.get(name) != value}
    return changed, frozenset(changed) | (ours.keys() - theirs.keys())


def _joined(members: Raws) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())
