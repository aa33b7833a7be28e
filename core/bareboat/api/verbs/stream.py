"""A watch as bytes for one connection: events as HTTP chunks, encoded once for all watchers, as many in one write as there are.

In: a subscription and a ``Sink``, the connection. Out: chunks, until the time is over, the watch fails or the client goes. A client
that reads slowly is waited for; what it cannot take in time makes the subscription fail, and the watch ends with that error.

While nothing has to be waited for but changes, the watch follows (store.followers): it is handed bytes that are joined once for all
watchers. To resume a task that stands in a dozen coroutines costs as much as the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import msgspec

from bareboat.client.transport import EventType
from bareboat.models.status import ApiError
from bareboat.store.broadcast import SlowSubscriber, Subscription
from bareboat.store.entry import Change, Entry
from bareboat.store.errors import StoreFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

#: Bytes in one write at most, but for an event that is larger.
CHUNK = 128 * 1024
#: Encoded events that are kept for the other watchers, and the size of the largest.
KEPT, LARGEST = 64, 64 * 1024

Event = tuple[EventType, bytes]


class Sink(Protocol):
    """A connection that takes whole HTTP chunks."""

    @property
    def gone(self) -> bool:
        """The client has left."""

    @property
    def paused(self) -> bool:
        """The client reads more slowly than it is written to."""

    def write(self, data: bytes) -> None: ...

    def offer(self, pieces: Sequence[bytes]) -> bool:
        """Write them all; False if the client is gone or now reads more slowly."""

    async def drain(self) -> None:
        """Until it is paused no longer."""

    def on_gone(self, tell: Callable[[], None]) -> None:
        """Call when the client leaves."""

    def abort(self) -> None:
        """Let go of the connection and of what was written to it and not read."""


def chunk(kind: str, data: bytes) -> bytes:
    """One event, framed as a chunk."""
    line = b'{"type":"%b","object":%b}\n' % (kind.encode(), data)
    return b"%x\r\n%b\r\n" % (len(line), line)


@lru_cache(KEPT)
def _shared(kind: str, entry: Entry) -> bytes:
    return chunk(kind, entry.data)


def _framed(change: Change) -> bytes:
    entry = change.entry
    kind = "DELETED" if change.deleted else "MODIFIED" if entry.created != change.revision else "ADDED"
    return _shared(kind, entry) if len(entry.data) <= LARGEST else chunk(kind, entry.data)


def _pieces(changes: Sequence[Change]) -> list[bytes]:
    """As few as there may be."""
    if len(changes) == 1:
        return [_framed(changes[0])]
    pieces: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    for change in changes:
        gathered.append(_framed(change))
        size += len(gathered[-1])
        if size > CHUNK or change is changes[-1]:
            pieces.append(b"".join(gathered))
            gathered, size = [], 0
    return pieces


class Stream:
    """One watch that shows objects as they are stored: no other version, no Table, no selector."""

    def __init__(self, service: Service, subscription: Subscription, initial: list[Event], until: float, bookmark: Bookmark | None) -> None:
        self._service = service
        self._subscription = subscription
        self._initial = initial
        self._until = until
        self._bookmark = bookmark

    async def follow(self, sink: Sink) -> None:
        """Until the watch ends; the subscription is closed then."""
        subscription = self._subscription
        sink.on_gone(subscription.wake)
        subscription.failing = lambda: sink.abort() if sink.paused else None
        try:
            await self._begin(sink)
            await self._run(sink)
        except SlowSubscriber:
            from bareboat.api.verbs.read import expired

            sink.write(_error(expired(subscription.seen, self._service.log.head)))
        except StoreFailed:
            return
        finally:
            subscription.close()

    async def _begin(self, sink: Sink) -> None:
        initial, self._initial = self._initial, []
        for start in range(0, len(initial), 16):
            if sink.gone:
                return
            sink.write(b"".join([chunk(kind, data) for kind, data in initial[start : start + 16]]))
            if sink.paused:
                await self._drained(sink)
            else:
                await asyncio.sleep(0)

    async def _run(self, sink: Sink) -> None:
        clock, subscription = self._service.clock, self._subscription
        while not sink.gone and (now := clock.monotonic()) < self._until:
            seen = self._service.log.head
            changes = subscription.take()
            if self._bookmark is not None and now >= self._bookmark.due:
                sink.offer(_pieces(changes))
                sink.write(chunk("BOOKMARK", self._bookmark.at(seen, now)))
            elif changes:
                sink.offer(_pieces(changes))
            else:
                until = self._until if self._bookmark is None else min(self._until, self._bookmark.due)
                subscription.follow(sink.offer, _pieces)
                await subscription.woken(until - now)
                subscription.unfollow()
                if not sink.paused:
                    continue
            if sink.paused:
                await self._drained(sink)
        if self._bookmark is not None and not sink.gone:
            sink.write(chunk("BOOKMARK", self._bookmark.at(self._service.log.head, self._until)))

    async def _drained(self, sink: Sink) -> None:
        """A client that does not read until the watch is over has lost it."""
        try:
            async with asyncio.timeout(max(0.0, self._until - self._service.clock.monotonic())):
                await sink.drain()
        except TimeoutError:
            sink.abort()


class Bookmark:
    """When the next one is due, and what it says."""

    def __init__(self, make: Callable[[int], bytes], now: float, every: float) -> None:
        self._make = make
        self._every = every
        self.due = now + every

    def at(self, revision: int, now: float) -> bytes:
        self.due = now + self._every
        return self._make(revision)


def _error(error: ApiError) -> bytes:
    return chunk("ERROR", msgspec.json.encode(error.to_status()))
