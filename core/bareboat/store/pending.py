"""Writes under way in a log that other servers write too: what each is based on, and which of them still hold.

The revision of such a write is known only once it is committed. Until then its entry carries a provisional one, greater
than any real revision, so that nothing that was read from the store can be taken for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from bareboat.contracts.store import Row
from bareboat.store.entry import Change, Entry, serve

#: Provisional revisions start here.
PROVISIONAL = 1 << 60


class Pending:
    """One write. ``base`` is the write under way that it changes, ``current`` the entry (of that write, or a live one, or None)."""

    __slots__ = ("base", "current", "deleted", "entry", "error", "expires_at", "future", "guards", "head", "settled", "stored")

    def __init__(
        self, entry: Entry, head: bytes, stored: bytes, *, deleted: bool, current: Entry | None, base: Pending | None, guards: Sequence[str]
    ) -> None:
        self.entry = entry
        self.head = head
        self.stored = stored
        self.deleted = deleted
        self.current = current
        self.base = base
        self.guards = guards
        self.future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self.settled: Entry | None = None
        #: why it was not written
        self.error: Exception | None = None

    @property
    def key(self) -> str:
        return self.entry.key

    def before(self) -> Entry | None:
        """The state that it changes, with real revisions if they are known."""
        if self.current is not None and self.base is not None and self.base.settled is not None:
            return self.base.settled
        return self.current

    def settle(self, revision: int) -> Change:
        """It is committed as ``revision``; the writes that it is based on are."""
        before = self.before()
        self.settled = Entry(
            self.key, revision, before.created if before else revision, serve(self.head, revision, self.stored), self.entry.expires_at
        )
        return Change(self.key, revision, self.deleted, self.settled, before)

    def succeed(self) -> None:
        if not self.future.done() and self.settled is not None:
            self.future.set_result(self.settled)

    def fail(self, error: Exception) -> None:
        self.error = error
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that was cancelled does not ask


def rows_of(batch: Sequence[Pending], known: int) -> list[Row]:
    """Numbered from ``known`` + 1, as SharedStore.extend wants them."""
    made: dict[Pending, tuple[int, int]] = {}
    rows = []
    for revision, p in enumerate(batch, known + 1):
        before = p.before()
        if before is None:
            previous, created = 0, revision
        elif p.base in made:
            previous, created = made[p.base]
        else:
            previous, created = before.revision, before.created
        made[p] = revision, created
        rows.append(
            Row(
                key=p.key,
                revision=revision,
                created=created,
                previous=previous,
                value=p.stored,
                deleted=p.deleted,
                expires_at=p.entry.expires_at,
            )
        )
    return rows


def first(waiting: Sequence[Pending], rows: int, size: int) -> int:
    """How many of ``waiting`` make one batch of at most so many rows and bytes."""
    for count, p in enumerate(waiting):
        size -= len(p.stored)
        if count and (count >= rows or size < 0):
            return count
    return len(waiting)


def overtaken(waiting: Iterable[Pending], keys: set[str], lose: Callable[[Pending, bool], None]) -> list[Pending]:
    """Those that still hold after others wrote ``keys``; ``lose(write, guarded)`` is told of each other one."""
    kept: list[Pending] = []
    lost: set[Pending] = set()
    for p in waiting:
        guarded = any(key.startswith(guard) for guard in p.guards for key in keys)
        if guarded or p.key in keys or p.base in lost:
            lost.add(p)
            lose(p, guarded)
        else:
            kept.append(p)
    return kept
