"""Store: the contract of what keeps the cluster's objects, an append-only revision log with compare-and-swap above it.

Vocabulary. A *row* is one write of one key: its revision (1, 2, 3 … without gap within one store), the value, and the
revision of the key's row before it. A *tombstone* is the row of a delete; it keeps the last value. The kernel's log
(``store.log``) assigns revisions, checks compare-and-swap and keeps the live rows in memory; a driver makes rows durable.

Rules
* ``append`` is all or nothing, and durable when it returns. Rows come in revision order, the first is head + 1; anything
  else raises Conflict and writes nothing. If it raises, none of the rows exist.
* One server has the store at a time: ``open`` raises Unavailable, naming the remedy, when another has it. A ``SharedStore`` is had by
  several, see there.
* A store of a newer schema, or a damaged one, is refused with InvalidConfig and not made worse.
* ``append([])`` writes nothing; after a failure it is how the kernel asks whether the store takes writes again.
* ``compact(revision)`` forgets rows at or below ``revision`` that a later row at or below it replaces, and tombstones; what is live
  stays readable. It works in small steps: call it until it returns ``revision``.

Errors: Exhausted when there is no space (nothing was written), Unavailable when the back end is away, InvalidConfig as above.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from bareboat.contracts.driver import Driver
from bareboat.contracts.errors import Conflict, Unavailable

GROUP = "bareboat.store.v1"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One write. ``created`` is the revision at which the key came to be, ``previous`` that of the row before (0 = none).

    ``expires_at`` is seconds since the epoch (0 = never): the kernel deletes the key after that; the driver only keeps it.
    """

    key: str
    revision: int
    created: int
    previous: int
    value: bytes
    deleted: bool = False
    expires_at: float = 0.0


def in_order(rows: Sequence[Row], head: int) -> None:
    """For drivers: raises Conflict unless the rows follow ``head`` without gap."""
    for expected, row in enumerate(rows, head + 1):
        if row.revision != expected:
            raise Conflict(f"revision {row.revision} does not follow {expected - 1}: revisions must follow {head} without gap")


class StoreStats(msgspec.Struct, frozen=True, kw_only=True):
    """``bytes_used`` on disk or in memory, ``rows`` kept, ``head`` and ``compacted`` revisions."""

    rows: int
    bytes_used: int
    head: int
    compacted: int


class Compacted(Exception):
    """The wanted revision is no longer kept; ``compacted`` is the oldest that can be asked for."""

    def __init__(self, compacted: int) -> None:
        super().__init__(f"revision is compacted; the oldest kept is {compacted}")
        self.compacted = compacted


class LostRace(Exception):
    """Another server wrote what the rows are based on. None of them exist."""


class Uncertain(Unavailable):
    """The back end went away before it answered: the rows exist, all of them, or none does, and nobody could be asked. What is
    true shows in ``since`` once the back end is there again."""

    default_reason = "Uncertain"


class Store(Driver):
    """The verbs. One caller at a time: the kernel never overlaps two."""

    @abstractmethod
    async def head(self) -> int:
        """The last revision; 0 for an empty store."""

    @abstractmethod
    async def compacted(self) -> int:
        """Rows at or below this revision may be gone; 0 if nothing was ever compacted."""

    @abstractmethod
    async def append(self, rows: Sequence[Row]) -> None:
        """Make the rows durable, all or nothing."""

    @abstractmethod
    def load(self) -> AsyncIterator[list[Row]]:
        """The live rows (the newest of each key that is not a tombstone), in chunks, in revision order."""

    @abstractmethod
    async def since(self, revision: int, limit: int) -> list[Row]:
        """At most ``limit`` rows after ``revision``, in order, tombstones included. Raises Compacted."""

    @abstractmethod
    async def at(self, prefix: str, revision: int) -> list[Row]:
        """The live rows of keys that start with ``prefix`` as they were at ``revision``, by key. Raises Compacted."""

    @abstractmethod
    async def compact(self, revision: int, limit: int) -> int:
        """Forget what ``revision`` replaces, looking at no more than ``limit`` rows; returns how far it came."""

    @abstractmethod
    async def stats(self) -> StoreStats:
        """For people and metrics."""


class SharedStore(Store):
    """Mixin of stores that several servers write at the same time; verbs may overlap.

    The revisions of all servers come from one counter that a batch takes when it commits: revisions follow commit order,
    and who sees revision N has seen every one before. ``head`` is linearizable: it is no older than the call. Two servers
    that wrote on the same base, say A and B at 7::

        A extend([row 8], known=7) -> 0        the row is 8
        B extend([row 8, row 9], known=7) -> 1     nobody wrote B's keys: its rows are 9 and 10
        B since(7) -> 8, 9, 10                 B publishes 8, then its own

    ``append`` stays: it is ``extend`` that raises Conflict unless ``known`` is still the head.
    ``max_rows`` and ``max_bytes`` (of values) bound one batch; a single row may be larger.
    """

    max_rows: ClassVar[int] = 512
    max_bytes: ClassVar[int] = 64 * 1024 * 1024

    @abstractmethod
    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str] = ()) -> int:
        """Make the rows durable, all or nothing, after whatever other servers wrote; returns how many revisions that was.

        The rows are numbered from ``known`` + 1, the newest revision that the caller has seen; all their revisions,
        and ``created`` and ``previous`` where they mean rows of the same batch, move up by the result. Raises LostRace
        if a row after ``known`` has a key of the batch, or one that starts with one of ``guards``; Compacted if rows after ``known`` are
        no longer kept. When the connection is lost on the way the driver asks what became of the batch before it answers,
        and makes sure that it cannot be written later; it raises Uncertain only if it could not ask.
        """

    @abstractmethod
    def changes(self) -> AsyncIterator[int]:
        """Heads that other servers have reached, as soon as they have: hints, which may be late, doubled or missing.
        Raises Unavailable when the connection is lost; the kernel calls again."""


def moved(row: Row, known: int, shift: int) -> Row:
    """``row`` as it is stored when others wrote ``shift`` rows after ``known`` (SharedStore.extend)."""
    return msgspec.structs.replace(
        row,
        revision=row.revision + shift,
        created=row.created + shift if row.created > known else row.created,
        previous=row.previous + shift if row.previous > known else row.previous,
    )


class Maintained(Store):
    """Capability: what ``bareboat store`` asks for beyond the verbs. A store without it can be backed up, but not restored into."""

    @abstractmethod
    async def check(self) -> list[str]:
        """What is wrong with the stored data as far as the back end can tell by itself, a line each; [] if nothing."""

    @abstractmethod
    async def shrink(self, limit: int) -> int:
        """Give at most ``limit`` units of unused space back to the machine; returns the bytes that are still unused.

        0 when nothing is left to do. Steps are small: writes happen between them.
        """

    @abstractmethod
    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        """Replace everything by ``rows``, whose revisions go on from ``compacted`` + 1 without gap. All or nothing.

        Afterwards ``compacted`` is what it says and head the last row's revision, or ``compacted`` if there are none.
        """
