"""For shared stores over a client library: the verbs, handed on to a database that ``open`` connects to and ``close`` leaves.

What comes in: a driver that says how to connect (``connect``; it imports the library, so that importing the plugin does not). What goes
out: every verb of ``SharedStore`` and ``Maintained``; before ``open`` and after ``close`` they raise, and the status says why.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import Maintained, Row, SharedStore, StoreStats


class Writing(Protocol):
    """``strict``: raise Conflict if others wrote after ``known``."""

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str], *, strict: bool) -> int: ...


class Connected(Protocol):
    """What a database has to offer; the verbs are the contract's."""

    @property
    def writer(self) -> Writing: ...
    async def close(self) -> None: ...
    async def head(self) -> int: ...
    async def compacted(self) -> int: ...
    def changes(self) -> AsyncIterator[int]: ...
    def live(self) -> AsyncIterator[list[Row]]: ...
    async def since(self, revision: int, limit: int) -> list[Row]: ...
    async def at(self, prefix: str, revision: int) -> list[Row]: ...
    async def compact(self, revision: int, limit: int) -> int: ...
    async def stats(self) -> StoreStats: ...
    async def check(self) -> list[str]: ...
    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None: ...


D = TypeVar("D", bound=Connected)


class OpenedStore(SharedStore, Maintained, Generic[D]):
    """See contracts.store.SharedStore and Maintained."""

    def __init__(self, options: msgspec.Struct, host: Host) -> None:
        super().__init__(options, host)
        self._opened: D | None = None

    @abstractmethod
    async def connect(self) -> D:
        """A database that is ready for every verb."""

    async def open(self) -> None:
        if self._opened is None:
            self._opened = await self.connect()

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def status(self) -> Health:
        if self._opened is None:
            return Health(ready=False, reason="NotOpen", message="the store is not open")
        try:
            await self.database.head()
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    async def head(self) -> int:
        return await self.database.head()

    async def compacted(self) -> int:
        return await self.database.compacted()

    async def append(self, rows: Sequence[Row]) -> None:
        if rows:
            await self.database.writer.extend(rows, rows[0].revision - 1, (), strict=True)

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str] = ()) -> int:
        return await self.database.writer.extend(rows, known, guards, strict=False)

    async def changes(self) -> AsyncIterator[int]:
        async for head in self.database.changes():
            yield head

    async def load(self) -> AsyncIterator[list[Row]]:
        async for rows in self.database.live():
            yield rows

    async def since(self, revision: int, limit: int) -> list[Row]:
        return await self.database.since(revision, limit)

    async def at(self, prefix: str, revision: int) -> list[Row]:
        return await self.database.at(prefix, revision)

    async def compact(self, revision: int, limit: int) -> int:
        return await self.database.compact(revision, limit)

    async def stats(self) -> StoreStats:
        return await self.database.stats()

    async def check(self) -> list[str]:
        return await self.database.check()

    async def shrink(self, limit: int) -> int:
        """Nothing: the database gives unused space back when its own upkeep does."""
        del limit
        return 0

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        await self.database.restore(compacted, rows)

    @property
    def database(self) -> D:
        if self._opened is None:
            raise DriverError("the store is not open")
        return self._opened
