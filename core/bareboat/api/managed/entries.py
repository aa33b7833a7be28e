"""metadata.managedFields, read and written.

In: the entries of an object. Out: `Managed`, one `Owned` per `Owner`, and entries again in upstream's order: appliers first, then by
time. More than ten updaters are too many: the oldest are joined under one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from bareboat.api.managed.sets import Node, difference, union
from bareboat.models import meta_v1

_encode = msgspec.json.Encoder(order="sorted").encode
_spell = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
#: Sets of fields that are remembered, and the size of the largest.
MOST, LARGEST = 256, 16 * 1024

#: Updaters of one object that are kept apart.
MOST_UPDATERS = 10
#: Who owns what the oldest updaters owned.
ANCIENT = "ancient-changes"
#: Who owns what an object had before the first apply, where nobody kept book.
BEFORE = "before-first-apply"


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

    Fields that come as JSON are read when they are asked for, and written as they came.
    """

    __slots__ = ("_fields", "spelled", "time", "written")

    def __init__(self, fields: Node | msgspec.Raw, time: str | None, written: meta_v1.ManagedFieldsEntry | None = None) -> None:
        self.spelled = fields
        self._fields = fields if isinstance(fields, dict) else None
        self.time = time
        self.written = written

    @property
    def fields(self) -> Node:
        """Nobody writes to it."""
        if self._fields is None:
            self._fields = _tree(self.spelled)
        return self._fields

    def having(self, fields: Node, time: str | None) -> Owned:
        """With these fields, which may be the same, from then on."""
        return Owned(self.spelled if fields is self._fields else fields, time)

    def less(self, lost: Node, names: Sequence[bytes]) -> Node | None:
        """What is left without ``lost``, whose members have the last ``names``; None: all of it. JSON without them is not read."""
        if self._fields is None:
            text = bytes(self.spelled)  # type: ignore[arg-type]
            if text != b"{}" and not any(name in text for name in names):
                return None
        left = difference(self.fields, lost)
        return None if left and left is self.fields else left


Managed = dict[Owner, Owned]


class BadEntry(ValueError):
    """An entry that says nothing that can be understood."""


def read(entries: list[meta_v1.ManagedFieldsEntry], *, ours: bool = False) -> Managed:
    """``ours``: written here, so that fields are in order. Raises BadEntry."""
    found: Managed = {}
    for entry in entries:
        if entry.operation not in ("Apply", "Update"):
            raise BadEntry(f'operation: "{entry.operation}" is neither Apply nor Update')
        if entry.fieldsType != "FieldsV1":
            raise BadEntry(f'fieldsType: "{entry.fieldsType}" is not FieldsV1')
        if not (isinstance(entry.fieldsV1, dict) or bytes(entry.fieldsV1).startswith(b"{")):
            raise BadEntry("fieldsV1: not an object")
        owner = Owner(entry.manager, entry.operation, entry.apiVersion, entry.subresource)
        owned = Owned(entry.fieldsV1, entry.time, entry) if ours else Owned(ordered(_tree(entry.fieldsV1)), entry.time)
        known = found.get(owner)
        found[owner] = Owned(union(known.fields, owned.fields), owned.time) if known else owned
    return found


def spelled(names: Iterable[str]) -> list[bytes]:
    """As they stand in the JSON of fields."""
    return [_spell(name) for name in names]


def _tree(fields: msgspec.Raw | Node) -> Node:
    """Nobody writes to it. Raises BadEntry."""
    if isinstance(fields, dict):  # made by hand
        return fields
    data = bytes(fields)
    try:
        return _known(data) if len(data) <= LARGEST else _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadEntry("fieldsV1: not an object") from None


@lru_cache(MOST)
def _known(data: bytes) -> Node:
    """Objects of one template, and one object from one write to the next, mostly have the same owners of the same fields."""
    return _decode(data)


def ordered(node: Node) -> Node:
    """With its keys in order at every level."""
    return _decode(_encode(node))


def is_reset(entries: list[meta_v1.ManagedFieldsEntry]) -> bool:
    """One empty entry: the client wants the books thrown away."""
    return len(entries) == 1 and entries[0] == meta_v1.ManagedFieldsEntry()


def timeless(entries: list[meta_v1.ManagedFieldsEntry]) -> list[tuple[Any, ...]]:
    """What entries say, but for when."""
    return [(e.manager, e.operation, e.apiVersion, e.subresource, e.fieldsV1) for e in entries]


def write(managed: Managed) -> list[meta_v1.ManagedFieldsEntry]:
    return [owned.written or entry(owner, owned.time, owned.spelled) for owner, owned in sorted(_capped(managed).items(), key=_rank)]


def entry(owner: Owner, time: str | None, fields: Node | msgspec.Raw) -> meta_v1.ManagedFieldsEntry:
    """``fields`` in order, as a tree or as JSON."""
    return meta_v1.ManagedFieldsEntry(
        manager=owner.manager,
        operation=owner.operation,
        apiVersion=owner.api_version,
        time=time,
        fieldsType="FieldsV1",
        fieldsV1=fields if isinstance(fields, msgspec.Raw) else msgspec.Raw(_spell(fields)),
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
