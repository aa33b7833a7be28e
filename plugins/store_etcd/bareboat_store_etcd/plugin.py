"""The store in etcd: several servers over one etcd cluster. Importing this does not import the HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from bareboat.contracts.driver import Health, Host, PluginInfo
from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import GROUP, Maintained, Row, SharedStore, StoreStats
from bareboat_store_etcd.options import EtcdOptions

if TYPE_CHECKING:
    from bareboat_store_etcd.driver import Database


class EtcdStore(SharedStore, Maintained):
    """See contracts.store.SharedStore and Maintained."""

    info = PluginInfo(name="etcd", summary="etcd, for several servers over one etcd cluster", contract=GROUP)
    Options = EtcdOptions
    max_rows = 120  # etcd takes 128 operations and 1.5 MiB in one request
    max_bytes = 768 * 1024

    def __init__(self, options: EtcdOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options
        self._opened: Database | None = None

    async def open(self) -> None:
        if self._opened is None:
            from bareboat_store_etcd.driver import Database

            self._opened = await Database.opened(self._options)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def status(self) -> Health:
        if self._opened is None:
            return Health(ready=False, reason="NotOpen", message="the store is not open")
        try:
            await self._database.head()
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    async def head(self) -> int:
        return await self._database.head()

    async def compacted(self) -> int:
        return await self._database.compacted()

    async def append(self, rows: Sequence[Row]) -> None:
        if rows:
            await self._database.writer.extend(rows, rows[0].revision - 1, (), strict=True)

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str] = ()) -> int:
        return await self._database.writer.extend(rows, known, guards, strict=False)

    async def changes(self) -> AsyncIterator[int]:
        async for head in self._database.changes():
            yield head

    async def load(self) -> AsyncIterator[list[Row]]:
        async for rows in self._database.live():
            yield rows

    async def since(self, revision: int, limit: int) -> list[Row]:
        return await self._database.since(revision, limit)

    async def at(self, prefix: str, revision: int) -> list[Row]:
        return await self._database.at(prefix, revision)

    async def compact(self, revision: int, limit: int) -> int:
        return await self._database.compact(revision, limit)

    async def check(self) -> list[str]:
        return await self._database.check()

    async def shrink(self, limit: int) -> int:
        """Nothing: only ``etcdctl defrag`` gives space back, and it holds up everything that the member does."""
        del limit
        return 0

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        await self._database.restore(compacted, rows)

    async def stats(self) -> StoreStats:
        return await self._database.stats()

    @property
    def _database(self) -> Database:
        if self._opened is None:
            raise DriverError("the store is not open")
        return self._opened
