"""Linearizable reads from a cache: ask the store for its head, once for all who wait, and wait until the cache is there.

What comes in: calls of ``fresh`` and ``reach``, and how far the cache has come (``reached``) or why it cannot (``lost``). What goes
out: returns and errors. Who asks while the store is being asked waits for the next answer: the one under way may be older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bareboat.contracts.errors import DriverError, Unavailable

Waiting = list[asyncio.Future[None]]


class Freshness:
    """``fetch`` gives the store's head; ``behind`` is called when the cache has to catch up to a head."""

    def __init__(self, fetch: Callable[[], Awaitable[int]], behind: Callable[[int], None]) -> None:
        self._fetch = fetch
        self._behind = behind
        self._asking: Waiting = []
        self._until: list[tuple[int, Waiting]] = []
        self._wake = asyncio.Event()
        self._head = 0
        self._over: Unavailable | None = None

    async def fresh(self) -> None:
        """Until the cache has everything that was committed before the call. Raises what ``fetch`` raises, and what ``lost`` was told."""
        if self._over is not None:
            raise self._over
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append(future)
        self._wake.set()
        await future

    async def reach(self, revision: int, seconds: float) -> None:
        """Until the cache is at ``revision``, or the time is over: the caller looks."""
        if revision <= self._head or self._over is not None:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._until.append((revision, [future]))
        self._behind(revision)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return

    def reached(self, head: int) -> None:
        """The cache is at ``head``."""
        self._head = head
        if self._until:
            for revision, waiting in self._until:
                if revision <= head:
                    _resolve(waiting)
            self._until = [(r, w) for r, w in self._until if r > head]

    def lost(self, error: Exception) -> None:
        """The cache cannot follow for now."""
        for _, waiting in self._until:
            _refuse(waiting, error)
        self._until = []

    async def run(self) -> None:
        """Ask for whoever waits, until cancelled; nobody waits any longer then."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(0)  # whoever asks in this turn of the loop is in
                waiting, self._asking = self._asking, []
                if waiting:
                    await self._ask(waiting)
        finally:
            self._over = Unavailable("the server is stopping")
            _refuse(self._asking, self._over)
            self.lost(self._over)

    async def _ask(self, waiting: Waiting) -> None:
        try:
            head = await self._fetch()
        except DriverError as error:
            _refuse(waiting, error)
            return
        except BaseException:
            _refuse(waiting, asyncio.CancelledError())
            raise
        if head <= self._head:
            _resolve(waiting)
        else:
            self._until.append((head, waiting))
            self._behind(head)


def _resolve(waiting: Waiting) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)


def _refuse(waiting: Waiting, error: BaseException) -> None:
    for future in waiting:
        if not future.done():
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # who waited may have gone
            else:
                future.cancel()
