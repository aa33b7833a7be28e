"""metadata.managedFields, read and written.

In: the entries of an object. Out: `Managed`, one `Owned` per `Owner`, and entries again in upstream's order: appliers first, then by
time. More than ten updaters are too many: the oldest are joined under one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from bareboat.api.managed.sets import Node, difference, union
from bareboat.models import meta_v1

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

#: Fields that are remembered by their bytes, and the size of the largest.
MOST, LARGEST = 512, 8 * 1024
#: Updaters of one object that are kept apart.
MOST_UPDATERS = 10
#: Who owns what the oldest updaters owned.
ANCIENT = "ancient-changes"
#: Who owns what an object had before the first apply, where nobody kept book.
BEFORE = "before-first-apply"


Entry = meta_v1.ManagedFieldsEntry


class Owner(NamedTuple):
    """``operation`` is Apply or Update."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        """As conflict messages name it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


class Owned:
    """What one owner has: ``fields`` in order, and when that was new; ``written`` is the entry that says just this, if there is one.

    Fields that come as bytes are read when they are asked for, and written as those bytes.
    """

    __slots__ = ("_fields", "spelled", "time", "written")

    def __init__(self, fields: Node | msgspec.Raw, time: str | None, written: Entry | None = None) -> None:
        self.spelled = fields
        self._fields = None if isinstance(fields, msgspec.Raw) else fields
        self.time = time
        self.written = written

    @property
    def fields(self) -> Node:
        """Nobody writes to it."""
        if self._fields is None:
            self._fields = _nodes.of(bytes(self.spelled))  # type: ignore[arg-type]
        return self._fields

    def having(self, fields: Node, time: str | None) -> Owned:
        """With these fields, which may be the same, from then on."""
        return Owned(self.spelled if fields is self._fields else fields, time)

    def less(self, lost: Node, names: Sequence[bytes]) -> Node | None:
        """What is left without ``lost``, whose members have the last ``names``; None: all of it. Bytes without them are not read."""
        if self._fields is None:
            text = bytes(self.spelled)  # type: ignore[arg-type]
            if text != b"{}" and not any(name in text for name in names):
                return None
        left = difference(self.fields, lost)
        return None if left and left is self.fields else left


class _Nodes:
    """What bytes say: objects of one template have owners of the same fields."""

    def __init__(self) -> None:
        self._known: dict[bytes, Node] = {}

    def of(self, data: bytes) -> Node:
        found = self._known.get(data)
        if found is None:
            found = _decode(data)
            if len(data) <= LARGEST:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[data] = found
        return found


_nodes = _Nodes()


Managed = dict[Owner, Owned]


class BadEntry(ValueError):
    """An entry that says nothing that can be understood."""


def read(entries: Sequence[Entry], *, ours: bool = False) -> Managed:
    """``ours``: written here, so that fields are in order. Raises BadEntry."""
    found: Managed = {}
    for entry in entries:
        if entry.operation not in ("Apply", "Update"):
            raise BadEntry(f'operation: "{entry.operation}" is neither Apply nor Update')
        if entry.fieldsType != "FieldsV1":
            raise BadEntry(f'fieldsType: "{entry.fieldsType}" is not FieldsV1')
        fields = entry.fieldsV1
        if not (bytes(fields).startswith(b"{") if isinstance(fields, msgspec.Raw) else isinstance(fields, dict)):
            raise BadEntry("fieldsV1: not an object")
        owner = Owner(entry.manager, entry.operation, entry.apiVersion, entry.subresource)
        owned = Owned(fields, entry.time, entry)
        if not ours:
            owned = Owned(ordered(owned.fields), entry.time)
        known = found.get(owner)
        found[owner] = Owned(union(known.fields, owned.fields), owned.time) if known else owned
    return found


def spelled(names: Iterable[str]) -> list[bytes]:
    """As they stand in an entry."""
    return [_encode(name) for name in names]


def ordered(node: Node) -> Node:
    """With its keys in order at every level."""
    return _decode(_encode(node))


def is_reset(entries: Sequence[Entry]) -> bool:
    """One empty entry: the client wants the books thrown away."""
    return len(entries) == 1 and entries[0] == meta_v1.ManagedFieldsEntry()


def alike(mine: Sequence[Entry], theirs: Sequence[Entry], *, timeless: bool = False) -> bool:
    """Whether they say the same; ``timeless``: but for when."""
    if mine is theirs:
        return True
    return len(mine) == len(theirs) and all(a is b or _agree(a, b, timeless) for a, b in zip(mine, theirs, strict=True))


def _agree(a: Entry, b: Entry, timeless: bool) -> bool:
    """Fields are read only if all else is the same."""
    same = (a.manager, a.operation, a.apiVersion, a.subresource) == (b.manager, b.operation, b.apiVersion, b.subresource)
    if not same or (not timeless and (a.time, a.fieldsType) != (b.time, b.fieldsType)):
        return False
    return a.fieldsV1 == b.fieldsV1 or _spelled_fields(a) == _spelled_fields(b)


def _spelled_fields(entry: Entry) -> bytes:
    fields = entry.fieldsV1
    return bytes(fields) if isinstance(fields, msgspec.Raw) else _encode(fields)


def write(managed: Managed) -> list[Entry]:
    return [
        owned.written if owned.written is not None else entry(owner, owned.time, owned.spelled)
        for owner, owned in sorted(_capped(managed).items(), key=_rank)
    ]


def entry(owner: Owner, time: str | None, fields: Node | msgspec.Raw) -> meta_v1.ManagedFieldsEntry:
    """``fields`` in order, as a tree or as JSON."""
    return meta_v1.ManagedFieldsEntry(
        manager=owner.manager,
        operation=owner.operation,
        apiVersion=owner.api_version,
        time=time,
        fieldsType="FieldsV1",
        fieldsV1=fields,
        subresource=owner.subresource,
    )


def _rank(item: tuple[Owner, Owned]) -> tuple[str, ...]:
    owner, owned = item
    return owner.operation, owned.time or "", owner.manager, owner.api_version, owner.subresource


def _capped(managed: Managed) -> Managed:
    updaters = [item for item in managed.items() if item[0].operation == "Update"]
    if len(updaters) <= MOST_UPDATERS:
        return managed
    kept = dict(managed)
    updaters.sort(key=_rank)
    versions: set[str] = set()
    surplus = len(updaters) - MOST_UPDATERS
    for owner, owned in updaters:
        if surplus <= 0:
            break
        ancient = Owner(ANCIENT, "Update", owner.api_version)
        if owner == ancient:
            versions.add(owner.api_version)
            continue
        del kept[owner]
        before = kept.get(ancient)
        kept[ancient] = Owned(union(before.fields, owned.fields) if before else owned.fields, owned.time)
        if ancient.api_version in versions or before:
            surplus -= 1
        versions.add(ancient.api_version)
    return kept
