"""Answers that are remembered for a while; who asks the same at once waits for one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bareboat.contracts.auth import AuthHost

T = TypeVar("T")


class Memory(Generic[T]):
    """``life`` gives the seconds for which an answer holds. A failed call is not remembered. At most ``size`` answers."""

    def __init__(self, host: AuthHost, life: Callable[[T], float], size: int = 8192) -> None:
        self._host = host
        self._life = life
        self._size = size
        self._known: dict[bytes, tuple[float, T]] = {}
        self._asked: dict[bytes, asyncio.Future[T]] = {}

    async def get(self, key: bytes, ask: Callable[[], Awaitable[T]]) -> T:
        """Raises what ``ask`` raises."""
        known = self._known.get(key)
        if known is not None and known[0] > self._host.clock.monotonic():
            return known[1]
        waiting = self._asked.get(key)
        if waiting is None:
            waiting = self._asked[key] = asyncio.ensure_future(ask())
            waiting.add_done_callback(lambda done: self._note(key, done))
        return await asyncio.shield(waiting)

    def _note(self, key: bytes, done: asyncio.Future[T]) -> None:
        self._asked.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._known.pop(key, None)
        if len(self._known) >= self._size:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (self._host.clock.monotonic() + self._life(done.result()), done.result())
