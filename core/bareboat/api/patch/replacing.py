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
_MANAGED = "managedFields"


def replacement(op: Operation, old: Any, stored: bytes) -> Any | None:
    """The new object, defaulted. ``stored`` are the bytes of ``old``."""
    data = op.request.body
    cls: Any = op.stored.type
    plain = op.custom is None and op.same_version and parts.plain(cls)
    if not plain or op.field_validation == "Ignore" or body.media_type(op.request.content_type) != body.JSON:
        return None
    theirs, ours = _members(data), _members(stored)
    if theirs is None or ours is None or any(theirs.get(name) != ours[name] for name in ("kind", "apiVersion")):
        return None
    changed, touched = _changed(theirs, ours, cls)
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


def _members(data: bytes) -> Raws | None:
    """The members of an object that has each once and no space between them; None for anything else."""
    try:
        found = _split(data)
        size = sum(len(name.encode()) + len(value) for name, value in found.items())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if len(data) == size + 4 * len(found) + 1 and found else None


def _changed(theirs: Raws, ours: Raws, cls: Any) -> tuple[Raws, parts.Touched | None]:
    """Their members that are not ours, and the parts that may differ."""
    names = {name for name in (*cls.__struct_fields__, *theirs) if theirs.get(name) != ours.get(name)}
    changed = {name: theirs[name] for name in theirs if name in names}
    if "metadata" not in changed:
        return changed, None if "metadata" in names else parts.Touched(frozenset(names))
    mine, was = _members(changed["metadata"]), _members(ours["metadata"])
    if mine is None or was is None:
        return changed, None
    below = {name for name in (*mine, *was) if mine.get(name) != was.get(name)}
    changed["metadata"] = msgspec.Raw(_joined({name: mine[name] for name in mine if name in below}))
    return changed, parts.Touched(frozenset(names), frozenset(below))


def _joined(members: Raws) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())
