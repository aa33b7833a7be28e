"""The log: compare-and-swap, group commit, publish, acknowledge, in that order and for every write of the cluster.

What comes in: keys with stored bytes and the revision they are based on. What goes out: live entries (``get``, ``scan``),
subscriptions, and acknowledged writes. A write is checked against the live entries *and* the writes under way (the
overlay), gets its revision, waits for the batch it is in to be durable, is published, and only then acknowledged. If a
batch fails, its overlay and all that was built on it is dropped and every waiter is told. One event loop; no locks.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from typing import Final, TypeVar

from bareboat.base.clock import Clock
from bareboat.base.tasks import Tasks
from bareboat.base.turn import Turn
from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import Compacted, Row, Store
from bareboat.store.broadcast import CAPACITY, Broadcast, Subscription
from bareboat.store.entry import Change, Entry, resource_of, serve, strip
from bareboat.store.errors import CompareFailed, Raced, StoreFailed
from bareboat.store.history import entries
from bareboat.store.housekeeping import Housekeeping
from bareboat.store.index import Index
from bareboat.store.sealed import seals_of
from bareboat.store.window import Window

log = logging.getLogger("bareboat.store")
T = TypeVar("T")

#: Returned by an ``update`` callback that changes nothing.
NO_CHANGE: Final = object()
#: Changes kept in memory; older ones are read from the store.
WINDOW = 4096
#: Rows in one commit at most.
BATCH = 512
#: While the loop is about to bring more writes a batch waits for them, until it has so many: what a commit costs is shared by its rows.
ENOUGH = 32
#: Turns of the loop without a new write that end the waiting: what is read from a socket in one turn is a write in the next but one.
QUIET_TURNS = 2
#: Changes of these keys are no hurry: nodes renew their leases every ten seconds, each by itself. Unless something else comes, a commit of
#: nothing but such waits so many seconds for more.
PATIENT, PATIENCE = "coordination.k8s.io/leases/kube-node-lease/", 0.02


_key = attrgetter("key")


class Log:
    """``heads`` gives what served bytes of a resource ("apps/deployments") start with (entry.head)."""

    #: whether other servers write the same store (store.shared)
    shared = False

    def __init__(self, store: Store, clock: Clock, heads: Callable[[str], bytes], *, window: int = WINDOW) -> None:
        self.store = store
        self.head = 0
        self.compacted = 0
        #: Pages are not given as of earlier revisions, though watches may still begin there.
        self.aged = 0
        #: why the store did not take the last batch; "" if it did
        self.fault = ""
        self.seals = seals_of(store)
        self._heads = heads
        self._index = Index()
        self._window_size = window
        self._window = Window(window, 0)
        self._broadcast = Broadcast()
        self._overlay: dict[str, Entry | None] = {}
        self._overlay_revision: dict[str, int] = {}
        self._pending: list[tuple[Row, Change, asyncio.Future[Entry]]] = []
        self._batch: list[tuple[Row, Change, asyncio.Future[Entry]]] = []
        self._next = 1
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks = Tasks()
        self._housekeeping = Housekeeping(self, clock)
        self._busy = asyncio.Lock()
        #: batches that have ended, whichever way; and how many were not stored
        self._turn = Turn()
        self._failures = 0

    async def start(self) -> None:
        """Open the store and load the live rows. Raises DriverError."""
        await self.store.open()
        self.head = await self.store.head()
        self.compacted = await self.store.compacted()
        async for rows in self.store.load():
            for row in rows:
                self._index.put(self._entry(row))
                self._housekeeping.note(row.key, row.expires_at)
        self._next = self.head + 1
        self._window = Window(self._window_size, self.head)
        self._tasks.spawn(self._commit_forever(), name="store-commit")
        self._tasks.spawn(self._housekeeping.run(), name="store-housekeeping")

    async def stop(self) -> None:
        """Finish what is under way, tell subscribers, close the store."""
        while self._pending:
            await asyncio.sleep(0.001)
        async with self._busy:
            await self._tasks.cancel()
        self._broadcast.fail_all(StoreFailed("the server is stopping"))
        await self.store.close()

    def get(self, key: str) -> Entry | None:
        return self._index.entries.get(key)

    def scan(self, prefix: str, start_after: str = "") -> Iterator[Entry]:
        """Live entries under ``prefix`` ("apps/deployments/" or "apps/deployments/ns/") in key order."""
        return self._index.scan(prefix, start_after)

    def listing(self, prefix: str) -> list[Entry]:
        """All of ``scan``."""
        return self._index.listing(prefix)

    def having(self, keys: Iterable[str]) -> list[Entry]:
        """Those of the keys that live."""
        return list(filter(None, map(self._index.entries.get, keys)))

    def count(self, prefix: str) -> int:
        return self._index.count(prefix)

    def everything(self) -> tuple[int, list[Entry]]:
        """The head and the live entries at it, in no order: a consistent snapshot, however long it is looked at."""
        return self.head, list(self._index.entries.values())

    def row(self, entry: Entry) -> Row:
        """The entry as it is stored (sealed, if its resource is)."""
        value = self.stored(entry)
        row = Row(key=entry.key, revision=entry.revision, created=entry.created, previous=0, value=value, expires_at=entry.expires_at)
        return self.seals.seal(row)

    def stored(self, entry: Entry) -> bytes:
        """The bytes that were written, in the clear."""
        return strip(self._heads(resource_of(entry.key)), entry.revision, entry.data)

    def stale(self, key: str) -> bool:
        """It is stored under a key that no longer writes, so that even a write that changes nothing is worth it."""
        return key in self.seals.stale

    def resources(self) -> list[str]:
        """Resources that have at least one object."""
        return self._index.resources()

    async def fresh(self) -> None:
        """Until what is read is no older than this call. One server writes here, so it is."""

    async def reach(self, revision: int) -> None:
        """Until the head is at ``revision``, for a while: only other servers can have gone past it."""

    async def write(
        self, key: str, value: bytes | None, *, expect: int | None = None, expires_at: float = 0.0, guards: Sequence[str] = ()
    ) -> Entry:
        """Put (or with None delete) a key that is at revision ``expect`` (0 = does not exist, None = whatever it is).

        Raises CompareFailed at once, StoreFailed if it could not be made durable. Deleting what does not exist with
        ``expect`` None raises CompareFailed too. A cancelled caller does not undo the write. ``guards``: prefixes of keys that the
        write was decided on; raises Raced if another server has written there.
        """
        current = self.newest(key)
        at = current.revision if current else 0
        if (expect is not None and expect != at) or (value is None and current is None):
            raise CompareFailed(key, current)
        return await self._submit(key, value, current, expires_at, guards)

    async def update(self, key: str, change: Callable[[Entry | None], object]) -> Entry:
        """Read-modify-write on the newest state, including writes under way: ``change`` gets it and returns the stored
        bytes, None to delete, or NO_CHANGE (then the current entry is the answer)."""
        current = self.newest(key)
        value = change(current)
        if value is NO_CHANGE or (value is None and current is None):
            if current is None:
                raise CompareFailed(key, None)
            return await self.settled(current)
        assert value is None or isinstance(value, bytes)
        return await self._submit(key, value, current, current.expires_at if current else 0.0)

    def newest(self, key: str) -> Entry | None:
        """The key's state counting writes that are not durable yet. For writers only; never show it to a reader."""
        return self._overlay[key] if key in self._overlay else self._index.entries.get(key)

    async def settled(self, entry: Entry) -> Entry:
        """What ``newest`` gave, once it is durable. Raises StoreFailed or Raced if it never was."""
        if entry.revision <= self.head:
            return entry
        for row, _, future in (*self._batch, *self._pending):
            if row.revision == entry.revision:
                return await asyncio.shield(future)
        raise Raced(f"{entry.key}: the write that was built on failed")

    async def confirmed(self) -> None:
        """Until the writes under way are durable: what ``newest`` gave was counted with them, and who is refused because of it must
        find it so. Raises StoreFailed if they were lost, Raced if another server was faster."""
        last, failures = self._next - 1, self._failures
        while self.head < last:
            await self._turn.next()
            if self._failures != failures:
                raise StoreFailed(self.fault)

    async def snapshot(self, prefix: str, revision: int) -> list[Entry]:
        """The entries under ``prefix`` as they were at ``revision``, in key order. Raises Compacted."""
        if revision >= self.head:
            return self._index.listing(prefix)
        if revision >= self._window.start:
            return list(self._as_of(prefix, revision, ""))
        if revision < self.compacted:
            raise Compacted(self.compacted)
        return (await entries(await self.store.at(prefix, revision), self._entry))[0]

    async def page(self, prefix: str, revision: int, start_after: str, limit: int) -> tuple[list[Entry], int]:
        """``limit`` entries of ``snapshot`` after a key, and how many more there are. Raises Compacted."""
        if revision >= self.head:
            found = list(islice(self.scan(prefix, start_after), limit))
            return found, self._index.count(prefix, start_after) - len(found)
        if revision < self.aged:
            raise Compacted(self.aged)
        if revision >= self._window.start:
            before = self._window.before(prefix, revision)
            found = list(islice(self._as_of(prefix, revision, start_after), limit))
            live = self._index.entries
            difference = sum((entry is not None) - (key in live) for key, entry in before.items() if key > start_after)
            return found, self._index.count(prefix, start_after) + difference - len(found)
        if revision < self.compacted:
            raise Compacted(self.compacted)
        return await entries(await self.store.at(prefix, revision), self._entry, start_after, limit)

    def _as_of(self, prefix: str, revision: int, start_after: str) -> Iterator[Entry]:
        """In key order, by what the window knows of later changes."""
        before = self._window.before(prefix, revision)
        unchanged = (entry for entry in self.scan(prefix, start_after) if entry.key not in before)
        changed = sorted((e for e in before.values() if e is not None and e.key > start_after), key=_key)
        return heapq.merge(unchanged, changed, key=_key) if changed else unchanged

    async def subscribe(self, prefix: str, after: int, capacity: int = CAPACITY) -> Subscription:
        """Exactly the changes under ``prefix`` (a resource, a namespace of one, or one key) after revision ``after``. Raises Compacted."""
        if after < self.compacted:
            raise Compacted(self.compacted)
        subscription = self._broadcast.subscribe(prefix, capacity)
        try:
            stored, upto = await self._stored_changes(prefix, after)
        except BaseException:
            subscription.close()
            raise
        recent = (c for c in self._window.after(upto) if c.key.startswith(prefix))
        subscription.replay([*stored, *recent], after)
        return subscription

    def broadcast_through(self, broadcast: Broadcast) -> None:
        """Publish through that one, which a test looks into. Before ``start``, and before anybody subscribes or taps."""
        self._broadcast = broadcast

    def tap(self, prefix: str, callback: Callable[[Change], None]) -> None:
        """See Broadcast.tap."""
        self._broadcast.tap(prefix, callback)

    @property
    def subscribers(self) -> int:
        return len(self._broadcast)

    def watchers(self, prefix: str) -> int:
        """How many subscribed to exactly this prefix."""
        return self._broadcast.of(prefix)

    async def _stored_changes(self, prefix: str, after: int) -> tuple[list[Change], int]:
        """Changes after ``after`` that the window no longer has, from the store, and the revision up to which that is complete."""
        changes: list[Change] = []
        latest: dict[str, Entry] = {}
        while after < self._window.start:
            rows = await self.store.since(after, 1000)
            if not rows:
                break
            for row in rows:
                after = row.revision
                if row.key.startswith(prefix):
                    entry = self._entry(row)
                    changes.append(Change(row.key, row.revision, row.deleted, entry, latest.get(row.key) if row.previous else None))
                    latest[row.key] = entry
        return changes, after

    def _entry(self, row: Row) -> Entry:
        return Entry(row.key, row.revision, row.created, serve(self._heads(resource_of(row.key)), row.revision, row.value), row.expires_at)

    def _submit(
        self, key: str, value: bytes | None, current: Entry | None, expires_at: float, guards: Sequence[str] = ()
    ) -> asyncio.Future[Entry]:
        revision, head = self._next, self._heads(resource_of(key))
        self._next += 1
        created = current.created if current else revision
        stored = value if value is not None else strip(head, current.revision, current.data) if current else b""
        entry = Entry(key, revision, created, serve(head, revision, stored), expires_at)
        row = Row(
            key=key,
            revision=revision,
            created=created,
            previous=current.revision if current else 0,
            value=stored,
            deleted=value is None,
            expires_at=expires_at,
        )
        self._overlay[key] = None if value is None else entry
        self._overlay_revision[key] = revision
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._pending.append((row, Change(key, revision, value is None, entry, current), future))
        self._work.set()
        if current is None or value is None or not key.startswith(PATIENT) or len(self._pending) >= ENOUGH:
            self._hurry.set()
        return future

    async def _commit_forever(self) -> None:
        while True:
            await self._work.wait()
            if not self._hurry.is_set():
                await self._hurried()
            await self._gathered()
            async with self._busy:
                batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
                self._batch = batch
                if not self._pending:
                    self._work.clear()
                    self._hurry.clear()
                try:
                    await self.store.append([row for row, _, _ in batch])
                except Exception as error:  # noqa: BLE001  whatever it is: every waiter is told, and the next batch gets its chance
                    self.fault = str(error) or repr(error)
                    self._fail(batch, error)
                else:
                    self.fault = ""
                    self._publish(batch)

    async def _hurried(self) -> None:
        """Until something is in a hurry, or patience ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._hurry.wait()

    async def _gathered(self) -> None:
        """Until nothing more comes at once, or enough is there."""
        quiet = found = 0
        while quiet < QUIET_TURNS and len(self._pending) < ENOUGH:
            quiet, found = (0, len(self._pending)) if len(self._pending) != found else (quiet + 1, found)
            await asyncio.sleep(0)

    async def alone(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Let ``work`` have the store while no batch is written: steps of upkeep, short ones."""
        async with self._busy:
            return await work(self.store)

    async def compact(self, target: int, step: int) -> int:
        """One step towards forgetting the history up to ``target``; returns how far it came."""
        self.compacted = await self.alone(lambda store: store.compact(min(target, self.head), step))
        return self.compacted

    async def probe(self) -> None:
        """After a failure, ask the store whether it takes writes again. Raises DriverError while it does not."""
        await self.alone(lambda store: store.append([]))
        self.fault = ""

    def _publish(self, batch: list[tuple[Row, Change, asyncio.Future[Entry]]]) -> None:
        for row, change, _ in batch:
            if change.deleted:
                self._index.remove(row.key)
            else:
                self._index.put(change.entry)
                self._housekeeping.note(row.key, row.expires_at)
            if self._overlay_revision.get(row.key) == row.revision:
                del self._overlay[row.key], self._overlay_revision[row.key]
            self._window.add(change)
        self.head = batch[-1][0].revision
        self._broadcast.publish([change for _, change, _ in batch])
        for _, change, future in batch:
            if not future.done():
                future.set_result(change.entry)
        self._turn.over()

    def _fail(self, batch: list[tuple[Row, Change, asyncio.Future[Entry]]], error: Exception) -> None:
        log.error("a batch of %d writes was not stored: %s", len(batch), error, exc_info=None if isinstance(error, DriverError) else error)
        dropped, self._pending = [*batch, *self._pending], []
        self._overlay.clear()
        self._overlay_revision.clear()
        self._work.clear()
        self._next = self.head + 1
        for _, _, future in dropped:
            if not future.done():
                failure = StoreFailed(str(error))
                failure.__cause__ = error
                future.set_exception(failure)
        self._failures += 1
        self._turn.over()
