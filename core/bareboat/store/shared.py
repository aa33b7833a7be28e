"""The log of a server that shares its store with others: the same face, with their writes between ours.

What comes in beside the writes of this server: rows of others, after a hint of the store and at least once a second. Rows are
published in revision order whoever wrote them, so every server's watches tell the same story. A batch is checked against
the cache and the writes under way, and once more by the store when it commits; if another server was faster, the log
reads what it wrote, tells the writers whose base is gone, and commits the others again.

A server that cannot reach its store refuses writes and fresh reads with the reason, goes on serving what it has to those
who ask for any state, keeps watches open (they miss nothing: there is nothing to tell), and recovers by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bareboat.base.clock import Clock
from bareboat.contracts.errors import DriverError, Unavailable
from bareboat.contracts.store import Compacted, LostRace, Row, SharedStore, Store, Uncertain
from bareboat.store.broadcast import SlowSubscriber
from bareboat.store.entry import Change, Entry, resource_of, serve, strip
from bareboat.store.errors import CompareFailed, Raced, StoreFailed
from bareboat.store.freshness import Freshness
from bareboat.store.log import WINDOW, Log
from bareboat.store.pending import PROVISIONAL, Pending, first, overtaken, rows_of
from bareboat.store.resync import differences
from bareboat.store.window import Window

log = logging.getLogger("bareboat.store")

#: Seconds between two looks without a hint, and to wait for a revision that a client has seen on another server.
TICK = 1.0
PATIENCE = 3.0
#: Rows of others read at once.
CHUNK = 1000
#: Seconds by which a server lets the one that wrote a key remove it first when it expires.
EXPIRY_GRACE = 30.0


class StoreUncertain(StoreFailed):
    """Nobody could say whether the write became durable."""


class Overtaken(CompareFailed):
    """The key was at the expected revision until another server wrote it."""


class SharedLog(Log):
    """See Log. ``store`` is a SharedStore."""

    shared = True

    def __init__(self, store: SharedStore, clock: Clock, heads: Callable[[str], bytes], *, window: int = WINDOW) -> None:
        super().__init__(store, clock, heads, window=window)
        self._shared = store
        self._clock = clock
        self._waiting: list[Pending] = []
        self._under_way: list[Pending] = []
        self._newest: dict[str, Pending] = {}
        self._provisional: dict[int, Pending] = {}
        self._nudge = asyncio.Event()
        self._hinted = 0
        self._freshness = Freshness(self._store_head, self._hint)
        self._next = PROVISIONAL

    async def start(self) -> None:
        """Open the store, load the live rows and follow the others. Raises DriverError."""
        await super().start()
        self._next = PROVISIONAL
        await self._catch_up()
        self._freshness.reached(self.head)
        self._tasks.spawn(self._follow(), name="store-follow")
        self._tasks.spawn(self._keep_up(), name="store-keep-up")
        self._tasks.spawn(self._freshness.run(), name="store-freshness")

    async def stop(self) -> None:
        while self._waiting or self._under_way:
            await asyncio.sleep(0.001)
        await super().stop()

    async def write(
        self, key: str, value: bytes | None, *, expect: int | None = None, expires_at: float = 0.0, guards: Sequence[str] = ()
    ) -> Entry:
        while True:
            try:
                return await super().write(key, value, expect=expect, expires_at=expires_at, guards=guards)
            except Overtaken:
                if expect is not None:
                    raise

    async def update(self, key: str, change: Callable[[Entry | None], object]) -> Entry:
        while True:
            try:
                return await super().update(key, change)
            except Overtaken:
                continue

    async def fresh(self) -> None:
        """Until the cache has whatever any server was told is written before this call. Raises StoreFailed."""
        if self.fault:
            raise StoreFailed(self.fault)
        await self._told(self._freshness.fresh())

    async def _store_head(self) -> int:
        seen = self.head
        try:
            head = await self.store.head()
            if head < seen:
                raise Unavailable(
                    f"the store is at revision {head}, behind {seen}: it was restored from an older copy; start the servers again"
                )
        except DriverError as error:
            self._lost(error)
            raise
        return head

    async def reach(self, revision: int) -> None:
        if not self.fault:
            await self._told(self._freshness.reach(revision, PATIENCE))

    async def _told(self, wait: Awaitable[None]) -> None:
        try:
            await wait
        except DriverError as error:
            raise StoreFailed(str(error)) from error

    async def probe(self) -> None:
        """The tick asks."""

    async def settled(self, entry: Entry) -> Entry:
        if entry.revision < PROVISIONAL:
            return entry
        pending = self._provisional.get(entry.revision)
        if pending is None:
            raise Raced(f"{entry.key}: the write that was built on is over")
        return await asyncio.shield(pending.future)

    async def confirmed(self) -> None:
        for p in list(self._provisional.values()):
            while p.entry.revision in self._provisional:
                await self._turn.next()
            if isinstance(p.error, CompareFailed):
                raise Raced(f"{p.key}: another server was faster")
            if p.error is not None:
                raise p.error

    def _submit(
        self, key: str, value: bytes | None, current: Entry | None, expires_at: float, guards: Sequence[str] = ()
    ) -> asyncio.Future[Entry]:
        if self.fault:
            raise StoreFailed(self.fault)
        number, head = self._next, self._heads(resource_of(key))
        self._next += 1
        stored = value if value is not None else strip(head, current.revision, current.data) if current else b""
        entry = Entry(key, number, current.created if current else number, serve(head, number, stored), expires_at)
        pending = Pending(entry, head, stored, deleted=value is None, current=current, base=self._newest.get(key), guards=guards)
        self._overlay[key] = None if value is None else entry
        self._newest[key] = self._provisional[number] = pending
        self._waiting.append(pending)
        self._work.set()
        return pending.future

    async def _commit_forever(self) -> None:
        while True:
            await self._work.wait()
            async with self._busy:
                count = first(self._waiting, self._shared.max_rows, self._shared.max_bytes)
                self._under_way, self._waiting = self._waiting[:count], self._waiting[count:]
                if not self._waiting:
                    self._work.clear()
                try:
                    await self._commit()
                except Exception as error:  # noqa: BLE001  whatever it is: every waiter is told, and the next batch gets its chance
                    self._lose_all(error)
                self._under_way = []

    async def _commit(self) -> None:
        """Write ``_under_way``, as often as another server is faster. Raises DriverError: then none of it is published."""
        while self._under_way:
            known, batch = self.head, self._under_way
            guards = sorted({guard for p in batch for guard in p.guards})
            try:
                shift = await self._shared.extend(rows_of(batch, known), known, guards)
            except (LostRace, Compacted):
                await self._catch_up()
                continue
            self._under_way = []
            try:
                await self._catch_up_to(known + shift)
            except DriverError as error:
                self._under_way = batch
                raise Uncertain(f"written, but what others wrote before cannot be read: {error}") from error
            self._publish_own(batch)

    def _publish_own(self, batch: list[Pending]) -> None:
        self._apply([p.settle(revision) for revision, p in enumerate(batch, self.head + 1)], 0.0)
        for p in batch:
            self._forget(p)
            p.succeed()
        self._freshness.reached(self.head)
        self._turn.over()

    async def _catch_up_to(self, revision: int) -> None:
        """Publish what others wrote up to ``revision`` and nothing after."""
        if revision > self.head:
            await self._catch_up(revision)
        if revision != self.head:
            raise Uncertain(f"at {self.head} instead of {revision}")

    async def _catch_up(self, upto: int = 0) -> None:
        """Publish what others wrote, up to ``upto`` (0 = all). Under ``_busy``, or before anything else runs."""
        while not upto or self.head < upto:
            limit = min(CHUNK, upto - self.head) if upto else CHUNK
            try:
                rows = await self.store.since(self.head, limit)
            except Compacted:
                await self._resync()
                return
            self._publish_others(rows)
            if len(rows) < limit:
                return

    def _publish_others(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        changes: list[Change] = []
        latest: dict[str, Entry | None] = {}
        for row in rows:
            entry = self._entry(row)
            previous = latest[row.key] if row.key in latest else self._index.entries.get(row.key)
            changes.append(Change(row.key, row.revision, row.deleted, entry, previous))
            latest[row.key] = None if row.deleted else entry
        self._apply(changes, EXPIRY_GRACE)
        self._overtake(set(latest))
        self._freshness.reached(self.head)

    def _apply(self, changes: Sequence[Change], grace: float) -> None:
        for change in changes:
            if change.deleted:
                self._index.remove(change.key)
            else:
                self._index.put(change.entry)
                if change.entry.expires_at:
                    self._housekeeping.note(change.key, change.entry.expires_at + grace)
            self._window.add(change)
        self.head = changes[-1].revision
        self._broadcast.publish(changes)

    def _overtake(self, keys: set[str]) -> None:
        """Others wrote ``keys``: the writes under way that were decided on their old state are over."""

        def lose(p: Pending, guarded: bool) -> None:
            self._forget(p)
            lost.append((p, guarded))

        lost: list[tuple[Pending, bool]] = []
        self._under_way = overtaken(self._under_way, keys, lose)
        self._waiting = overtaken(self._waiting, keys | {p.key for p, _ in lost}, lose)
        for p, guarded in lost:
            p.fail(Raced(f"{p.key}: another server was faster") if guarded else Overtaken(p.key, self._index.entries.get(p.key)))
        if lost:
            self._turn.over()

    def _lose_all(self, error: Exception) -> None:
        dropped = [*self._under_way, *self._waiting]
        log.error("%d writes were not stored: %s", len(dropped), error, exc_info=None if isinstance(error, DriverError) else error)
        self._under_way, self._waiting = [], []
        self._work.clear()
        self._lost(error)
        for p in dropped:
            self._forget(p)
            failure = (StoreUncertain if isinstance(error, Uncertain) else StoreFailed)(str(error))
            failure.__cause__ = error
            p.fail(failure)
        self._turn.over()

    def _forget(self, p: Pending) -> None:
        self._provisional.pop(p.entry.revision, None)
        if self._newest.get(p.key) is p:
            del self._newest[p.key], self._overlay[p.key]

    def _lost(self, error: Exception) -> None:
        if not self.fault:
            log.error("the store cannot be reached; writes and fresh reads are refused until it can: %s", error)
        self.fault = str(error) or type(error).__name__
        self._freshness.lost(error)

    def _hint(self, head: int) -> None:
        if head > self._hinted:
            self._hinted = head
            self._nudge.set()

    async def _follow(self) -> None:
        while True:
            try:
                async for head in self._shared.changes():
                    self._hint(head)
            except DriverError as error:
                log.info("no hints from the store: %s", error)
            await self._clock.sleep(TICK)

    async def _keep_up(self) -> None:
        while True:
            ticked = await self._tick()
            async with self._busy:
                if not ticked and self._hinted <= self.head:
                    continue
                try:
                    if ticked:
                        await self._store_head()
                        self.compacted = await self.store.compacted()
                    await self._catch_up()
                except DriverError as error:
                    self._lost(error)
                    continue
            if self.fault:
                log.warning("the store is back")
                self.fault = ""

    async def _tick(self) -> bool:
        """Wait for a hint; True if the time was over first."""
        try:
            async with asyncio.timeout(TICK):
                await self._nudge.wait()
        except TimeoutError:
            return True
        self._nudge.clear()
        return False

    async def _resync(self) -> None:
        """So far behind that history is gone: take the live rows as they are. Watches end and start again."""
        log.warning("this server fell behind what the store keeps: reading everything again")
        self._broadcast.fail_all(SlowSubscriber("the server fell behind what the store keeps"))
        while True:
            head = await self.store.head()
            live = {row.key: row async for rows in self.store.load() for row in rows}
            self.compacted = await self.store.compacted()
            if self.compacted <= head:
                break
        changes = differences(self._index.entries, live, head, self._entry)
        if changes:
            self._apply(changes, EXPIRY_GRACE)
        self.head = head
        self._window = Window(self._window_size, head)
        self._overtake({change.key for change in changes})
        self._freshness.reached(head)
        await self._catch_up()


def log_over(store: Store, clock: Clock, heads: Callable[[str], bytes]) -> Log:
    """The log that fits the store."""
    return SharedLog(store, clock, heads) if isinstance(store, SharedStore) else Log(store, clock, heads)
