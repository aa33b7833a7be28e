"""From published changes to subscribers: bounded buffers, one wake-up per batch, no gap and no duplicate.

A subscriber names a prefix (a resource, a namespace of one, or one key) and the revision it has seen. One that does not
keep up is closed with SlowSubscriber and has to start again from what it has seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from bareboat.store.entry import Change, resource_of

#: Changes a subscriber may lag behind before it is closed.
CAPACITY = 20_000


class SlowSubscriber(Exception):
    """The buffer overflowed; everything taken so far was complete."""


class Subscription:
    """Async iteration over batches of changes, each in revision order."""

    def __init__(self, broadcast: Broadcast, prefix: str, capacity: int) -> None:
        self.prefix = prefix
        self._broadcast = broadcast
        self._capacity = capacity
        self._buffer: deque[Change] = deque()
        self._wake = asyncio.Event()
        self._after = 0
        #: the revision of the last change that was taken
        self.seen = 0
        self.failed: Exception | None = None

    def push(self, change: Change) -> None:
        if self.failed is None and change.revision > self._after:
            self._buffer.append(change)
            if len(self._buffer) > self._capacity:
                self.fail(SlowSubscriber(f"{self.prefix}: more than {self._capacity} changes behind"))

    def wake(self) -> None:
        self._wake.set()

    def fail(self, error: Exception) -> None:
        """Close it: what is buffered is dropped and the reader gets ``error``."""
        self.failed = error
        self._buffer.clear()
        self._wake.set()
        self.close()

    def replay(self, backlog: Iterable[Change], after: int) -> None:
        """Put what was published before the subscription in front; drop what was seen already."""
        live = [change for change in self._buffer if change.revision > after]
        first_live = live[0].revision if live else None
        old = [c for c in backlog if c.revision > after and (first_live is None or c.revision < first_live)]
        self._buffer = deque([*old, *live])
        self._after = max(after, self._buffer[-1].revision if self._buffer else after)
        if self._buffer:
            self._wake.set()

    def take(self) -> list[Change]:
        """What is there now, possibly nothing; raises if the subscription failed."""
        if self.failed is not None:
            raise self.failed
        batch = list(self._buffer)
        self._buffer.clear()
        self._wake.clear()
        if batch:
            self.seen = batch[-1].revision
        return batch

    async def wait(self, seconds: float) -> None:
        """Until something is there, or ``seconds`` have passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def next_batch(self) -> list[Change]:
        """At least one change. Raises SlowSubscriber, or StoreFailed when the log stopped."""
        while True:
            batch = self.take()
            if batch:
                return batch
            await self._wake.wait()

    async def __aiter__(self) -> AsyncIterator[list[Change]]:
        while True:
            yield await self.next_batch()

    def close(self) -> None:
        self._broadcast.remove(self)


class Broadcast:
    """Subscribers and synchronous taps, by prefix."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[Subscription]] = {}
        self._taps: dict[str, list[Callable[[Change], None]]] = {}

    def subscribe(self, prefix: str, capacity: int = CAPACITY) -> Subscription:
        subscription = Subscription(self, prefix, capacity)
        self._subscribers.setdefault(prefix, set()).add(subscription)
        return subscription

    def tap(self, prefix: str, callback: Callable[[Change], None]) -> None:
        """Call ``callback`` with every change of a resource, in revision order, before any write is acknowledged."""
        self._taps.setdefault(prefix, []).append(callback)

    def remove(self, subscription: Subscription) -> None:
        found = self._subscribers.get(subscription.prefix)
        if found is not None:
            found.discard(subscription)
            if not found:
                del self._subscribers[subscription.prefix]

    def publish(self, changes: Sequence[Change]) -> None:
        touched: set[Subscription] = set()
        for change in changes:
            resource = resource_of(change.key) + "/"
            for tap in self._taps.get(resource, ()):
                tap(change)
            for prefix in (resource, change.key[: change.key.rindex("/") + 1], change.key):
                for subscription in tuple(self._subscribers.get(prefix, ())):
                    subscription.push(change)
                    touched.add(subscription)
        for subscription in touched:
            subscription.wake()

    def fail_all(self, error: Exception) -> None:
        for subscriptions in list(self._subscribers.values()):
            for subscription in list(subscriptions):
                subscription.fail(error)

    def of(self, prefix: str) -> int:
        return len(self._subscribers.get(prefix, ()))

    def __len__(self) -> int:
        return sum(len(found) for found in self._subscribers.values())
