"""A store in memory that several logs of one process share, with fault knobs: for tests of several servers in virtual time.

``Hub`` is the back end, ``HubStore`` one server's connection to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from bareboat.contracts.driver import Health, NoOptions, PluginInfo
from bareboat.contracts.errors import Conflict, Unavailable
from bareboat.contracts.store import GROUP, LostRace, Row, SharedStore, StoreStats, Uncertain, moved
from bareboat.store.memory import MemoryStore


class Hub:
    """``down``: nobody is answered. ``silent``: no hints. ``lose_answers``: so many commits are made and not answered."""

    def __init__(self) -> None:
        self.rows = MemoryStore()
        self.down = False
        self.silent = False
        self.lose_answers = 0
        #: how often the head was asked for
        self.heads = 0
        self.moved = asyncio.Event()

    def tell(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()


class HubStore(SharedStore):
    """See Hub."""

    info = PluginInfo(name="hub", summary="a store in memory that several logs share, for tests", contract=GROUP)
    Options = NoOptions

    def __init__(self, hub: Hub) -> None:
        super().__init__(NoOptions(), None)  # type: ignore[arg-type]  # it needs nothing of the host
        self._hub = hub

    async def status(self) -> Health:
        return Health(ready=not self._hub.down)

    async def head(self) -> int:
        self._hub.heads += 1
        return await (await self._rows()).head()

    async def compacted(self) -> int:
        return await (await self._rows()).compacted()

    async def append(self, rows: Sequence[Row]) -> None:
        await (await self._rows()).append(rows)
        self._hub.tell()

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str] = ()) -> int:
        store = await self._rows()
        if [row.revision for row in rows] != list(range(known + 1, known + 1 + len(rows))):
            raise Conflict(f"the rows must be numbered from {known + 1}")
        others = await store.since(known, 1 << 30)
        keys = {row.key for row in rows}
        if any(other.key in keys or other.key.startswith(tuple(guards)) for other in others):
            raise LostRace(f"after {known}")
        shift = await store.head() - known
        await store.append([moved(row, known, shift) for row in rows])
        self._hub.tell()
        if self._hub.lose_answers:
            self._hub.lose_answers -= 1
            raise Uncertain("the answer was lost")
        return shift

    async def changes(self) -> AsyncIterator[int]:
        while True:
            await self._hub.moved.wait()
            if not self._hub.silent:
                yield await (await self._rows()).head()

    async def load(self) -> AsyncIterator[list[Row]]:
        async for rows in (await self._rows()).load():
            yield rows

    async def since(self, revision: int, limit: int) -> list[Row]:
        return await (await self._rows()).since(revision, limit)

    async def at(self, prefix: str, revision: int) -> list[Row]:
        return await (await self._rows()).at(prefix, revision)

    async def compact(self, revision: int, limit: int) -> int:
        return await (await self._rows()).compact(revision, limit)

    async def stats(self) -> StoreStats:
        return await (await self._rows()).stats()

    async def _rows(self) -> MemoryStore:
        await asyncio.sleep(0.001)
        if self._hub.down:
            raise Unavailable("the hub is down")
        return self._hub.rows
