"""The waiting pods: active ones by priority and age, refused ones until something changes or a minute has passed.

A refused pod comes back by ``wake`` (a node or pod changed), after its back-off (1 s doubling to 10 s), so that a full
cluster does not spin. Keys only; the scheduler reads the pod when its turn comes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

from bareboat.base.clock import Clock

BACKOFF_FIRST = 1.0
BACKOFF_CAP = 10.0
#: A refused pod is tried again after this long even if nothing changed, in seconds.
FLUSH_AFTER = 60.0


class SchedulingQueue:
    """Single consumer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._heap: list[tuple[int, int, str]] = []
        self._active: dict[str, int] = {}
        self._attempts: dict[str, int] = {}
        self._refused: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ready = asyncio.Event()

    def add(self, key: str, priority: int) -> None:
        """A new or changed pod: it is tried as soon as its turn comes."""
        self._cancel(key)
        self._refused.pop(key, None)
        if key not in self._active:
            self._active[key] = priority
            heapq.heappush(self._heap, (-priority, next(self._order), key))
            self._ready.set()

    def holds(self, key: str) -> bool:
        """Whether the pod waits here, in whatever way."""
        return key in self._active or key in self._refused or key in self._timers

    def remove(self, key: str) -> None:
        """Bound or gone."""
        self._cancel(key)
        self._active.pop(key, None)
        self._attempts.pop(key, None)
        self._refused.pop(key, None)

    def refuse(self, key: str, priority: int) -> None:
        """No node now: wait for ``wake`` or the flush."""
        self._attempts[key] = self._attempts.get(key, 0) + 1
        self._refused[key] = self._clock.monotonic()
        self._later(key, priority, FLUSH_AFTER)

    def wake(self) -> None:
        """Something changed that may make room: refused pods come back when their back-off is over."""
        for key, since in list(self._refused.items()):
            wait = min(BACKOFF_CAP, BACKOFF_FIRST * 2 ** (self._attempts.get(key, 1) - 1))
            del self._refused[key]
            self._later(key, 0, max(0.0, since + wait - self._clock.monotonic()))

    async def pop(self) -> str:
        """The next pod; waits for one."""
        while True:
            while self._heap:
                _, _, key = heapq.heappop(self._heap)
                if self._active.pop(key, None) is not None:
                    return key
            self._ready.clear()
            await self._ready.wait()

    def _later(self, key: str, priority: int, seconds: float) -> None:
        self._cancel(key)
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key, priority)

    def _cancel(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
