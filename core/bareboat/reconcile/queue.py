"""A queue of keys: each at most once, never handled by two workers at a time, failures with a growing wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from bareboat.base.backoff import Backoff
from bareboat.base.wide import WideSet

FIRST_WAIT, LONGEST_WAIT = 0.05, 300.0
#: Where handling a key takes a millisecond at most.
IN_A_ROW = 4


class WorkQueue:
    """Keys only. A key added while it is being handled is handled again afterwards.

    ``in_a_row`` are given before others have their turn.
    """

    def __init__(self, fraction: Callable[[], float] | None = None, in_a_row: int = IN_A_ROW) -> None:
        self._in_a_row = in_a_row
        self._waiting: deque[str] = deque()
        self._queued: WideSet[str] = WideSet()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._backoff = Backoff(FIRST_WAIT, LONGEST_WAIT, fraction=fraction)
        self._ready = asyncio.Event()
        self._given = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.append(key)
            self._ready.set()

    def add_after(self, key: str, seconds: float) -> None:
        """The earliest wanted time counts. Below half a millisecond there is no timer to be had: uvloop calls at once."""
        if seconds < 0.001:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def add_rate_limited(self, key: str) -> None:
        """After a failure: waits longer each time, until ``forget``."""
        self.add_after(key, self._backoff.next(key))

    def forget(self, key: str) -> None:
        self._backoff.reset(key)

    async def get(self) -> str:
        """The next key; ``done`` must follow. Workers whose work waits for nothing let others have their turn here."""
        self._given += 1
        if self._given % self._in_a_row == 0:
            await asyncio.sleep(0)
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        key = self._waiting.popleft()
        self._queued.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)
