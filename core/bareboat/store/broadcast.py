"""From published changes to subscribers: bounded buffers, one wake-up per batch, no gap and no duplicate.

A subscriber names a prefix (a resource, a namespace of one, or one key) and the revision it has seen. One that does not
keep up is closed with SlowSubscriber and has to start again from what it has seen. One that has everything may follow: it is given
what comes in batches that all followers of the prefix share (store.followers), a few of them in each turn of the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from bareboat.store.entry import Change, resource_of
from bareboat.store.followers import Followers, Make, Offer

#: Changes a subscriber may lag behind before it is closed.
CAPACITY = 20_000
#: Followers that are served at a time; the loop does other things before the next. So many before the writer is answered: to
#: tell them takes a millisecond, and whoever waits for the writer's answer waits for the watchers.
AT_A_TIME, AT_FIRST = 24, 64
#: So many at least while changes come faster than they go out: the next change is then in time to go out with this one. As many more
#: (at most so many) as it takes for everybody to be served while the loop did other things for so many seconds.
IN_HASTE, AT_MOST, ROUND_SECONDS = 3, 64, 0.1


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
        #: False for a change that its reader would pass over: it is not even woken then
        self.concerns: Callable[[Change], bool] | None = None
        #: called when it fails, as its reader may be waiting for something else
        self.failing: Callable[[], None] | None = None
        self._waiting: asyncio.Future[None] | None = None
        #: to wake who waits, and the loop's time at which it will; 0.0: never
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def push(self, change: Change) -> None:
        if self.failed is None and change.revision > self._after:
            self._buffer.append(change)
            if len(self._buffer) > self._capacity:
                self.fail(SlowSubscriber(f"{self.prefix}: more than {self._capacity} changes behind"))

    def wake(self) -> None:
        self._wake.set()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def fail(self, error: Exception) -> None:
        """Close it: what is buffered is dropped and the reader gets ``error``."""
        self.failed = error
        self._buffer.clear()
        self.wake()
        if self.failing is not None:
            self.failing()
        self.close()

    def follow(self, offer: Offer, make: Make) -> None:
        """Who has taken everything: from now on ``offer`` is given what is made of changes, soon after they come, and nothing is buffered.

        Until ``unfollow``, or until it takes no more: then the reader is woken.
        """
        if not self._buffer and self.failed is None and self._after <= self._broadcast.head:
            self._broadcast.follow(self, offer, make)

    def unfollow(self) -> None:
        """What was not delivered is in the buffer, as what comes will be."""
        seen, missed = self._broadcast.unfollow(self)
        self.seen = max(self.seen, seen)
        if missed:
            self._buffer.extend(missed)
            self._wake.set()

    def stall(self) -> None:
        """It takes no more."""
        self.unfollow()
        self.wake()

    def joined(self) -> list[Change]:
        """It follows from now on; what it has yet to be given is this."""
        self._broadcast.told_no_more(self)
        return self.take()

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

    async def woken(self, seconds: float) -> None:
        """Until ``wake`` is called, or ``seconds`` have passed; at once if something came since it was taken from."""
        if self._wake.is_set():
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not now < self._due <= now + seconds:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = loop.call_later(seconds, self._ring), now + seconds
        self._waiting = loop.create_future()
        await self._waiting

    def _ring(self) -> None:
        self._due = 0.0
        self.wake()

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
        if self._timer is not None:
            self._timer.cancel()
        self._broadcast.remove(self)


class Broadcast:
    """Subscribers and synchronous taps, by prefix."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[Subscription]] = {}
        #: of these who is told of each change by itself, and the others
        self._told: dict[str, set[Subscription]] = {}
        self._followers: dict[str, Followers] = {}
        self._taps: dict[str, list[Callable[[Change], None]]] = {}
        #: who has followers to serve, in turn
        self._busy: dict[Followers, None] = {}
        self._hasty = self._first = False
        self._woke = 0.0
        #: the last revision that was published
        self.head = 0

    def subscribe(self, prefix: str, capacity: int = CAPACITY) -> Subscription:
        return self.add(Subscription(self, prefix, capacity))

    def add(self, subscription: Subscription) -> Subscription:
        self._subscribers.setdefault(subscription.prefix, set()).add(subscription)
        self._told.setdefault(subscription.prefix, set()).add(subscription)
        return subscription

    def tap(self, prefix: str, callback: Callable[[Change], None]) -> None:
        """Call ``callback`` with every change of a resource, in revision order, before any write is acknowledged."""
        self._taps.setdefault(prefix, []).append(callback)

    def remove(self, subscription: Subscription) -> None:
        if subscription in self._subscribers.get(subscription.prefix, ()):
            self.unfollow(subscription)
            self.told_no_more(subscription)
            _discard(self._subscribers, subscription)

    def follow(self, subscription: Subscription, offer: Offer, make: Make) -> None:
        followers = self._followers.get(subscription.prefix)
        if followers is None:
            followers = self._followers[subscription.prefix] = Followers(make)
        if followers.join(subscription, offer):
            self.told_no_more(subscription)

    def told_no_more(self, subscription: Subscription) -> None:
        _discard(self._told, subscription)

    def unfollow(self, subscription: Subscription) -> tuple[int, list[Change]]:
        """The revision up to which it was served, if it was, and what was not given to it."""
        followers = self._followers.get(subscription.prefix)
        if followers is None:
            return 0, []
        found = followers.leave(subscription)
        if subscription in self._subscribers.get(subscription.prefix, ()):
            self._told.setdefault(subscription.prefix, set()).add(subscription)
        if not len(followers):
            del self._followers[subscription.prefix]
            self._busy.pop(followers, None)
        return found

    def publish(self, changes: Sequence[Change]) -> None:
        touched: set[Subscription] = set()
        self._hasty, self._first = bool(self._busy), not self._busy
        for change in changes:
            key = change.key
            resource = resource_of(key) + "/"
            for tap in self._taps.get(resource, ()):
                tap(change)
            for prefix in (resource, key[: key.rindex("/") + 1], key):
                if prefix in self._subscribers:
                    self._put(prefix, change, touched)
        self.head = changes[-1].revision if changes else self.head
        for subscription in touched:
            subscription.wake()
        if self._busy and not self._hasty:
            asyncio.get_running_loop().call_soon(self._serve_some)

    def _put(self, prefix: str, change: Change, touched: set[Subscription]) -> None:
        for subscription in tuple(self._told.get(prefix, ())):
            if subscription.concerns is None or subscription.concerns(change):
                subscription.push(change)
                touched.add(subscription)
        followers = self._followers.get(prefix)
        if followers is not None:
            followers.put(change)
            self._busy[followers] = None

    def _serve_some(self) -> None:
        """A few followers in the order in which they were served before, the others in the loop's next turn."""
        left = self._pace()
        while left > 0 and self._busy:
            followers = next(iter(self._busy))
            left -= followers.serve(left)
            self._busy.pop(followers, None)
            if followers.busy:  # the others first
                self._busy[followers] = None
        if self._busy:
            asyncio.get_running_loop().call_soon(self._serve_some)
        self._woke = time.thread_time()

    def _pace(self) -> int:
        first, self._first = self._first, False
        if not self._hasty:
            return AT_FIRST if first else AT_A_TIME
        elsewhere = time.thread_time() - self._woke
        waiting = sum(followers.waiting for followers in self._busy)
        return min(AT_MOST, max(IN_HASTE, int(waiting * elsewhere / ROUND_SECONDS)))

    def fail_all(self, error: Exception) -> None:
        for subscriptions in list(self._subscribers.values()):
            for subscription in list(subscriptions):
                subscription.fail(error)

    def of(self, prefix: str) -> int:
        return len(self._subscribers.get(prefix, ()))

    def __len__(self) -> int:
        return sum(len(found) for found in self._subscribers.values())


def _discard(subscriptions: dict[str, set[Subscription]], one: Subscription) -> None:
    found = subscriptions.get(one.prefix)
    if found is not None:
        found.discard(one)
        if not found:
            del subscriptions[one.prefix]
