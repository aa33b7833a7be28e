"""The embedded default: one SQLite file in WAL mode with ``synchronous=FULL``.

One connection writes and checkpoints, on one thread, so no other connection ever does (SQLite before 3.51.3 can corrupt a
file that another connection checkpoints). Here is the contract's side; what happens on that thread is in ``sqlite_file``, which
brings SQLAlchemy and is imported when the store is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bareboat.contracts.driver import Health, Host, PluginInfo
from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import GROUP, Compacted, Maintained, Row, StoreStats, in_order
from bareboat.store.worker import Worker

if TYPE_CHECKING:
    from bareboat.store.sqlite_file import SqliteFile

T = TypeVar("T")
CHUNK = 2000


class SqliteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` of the file ("" = store.db in the state directory); ``checkpoint_pages``: 4 KiB WAL pages between checkpoints."""

    path: str = ""
    checkpoint_pages: int = 1000


class SqliteStore(Maintained):
    """See contracts.store.Store."""

    info = PluginInfo(name="sqlite", summary="one SQLite file, group commit, fsync before every answer", contract=GROUP)
    Options = SqliteOptions

    def __init__(self, options: SqliteOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options
        self.path = Path(options.path) if options.path else host.state_dir / "store.db"
        self._thread = Worker("store")
        self._opened: SqliteFile | None = None

    async def open(self) -> None:
        if self._opened is None:
            self._opened = await self._run(self._open)

    def _open(self) -> SqliteFile:
        from bareboat.store.sqlite_file import SqliteFile

        return SqliteFile(self.path, self._options.checkpoint_pages)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await self._run(opened.close)
        self._thread.close()

    async def status(self) -> Health:
        if self._opened is None:
            return Health(False, "StoreClosed", f"{self.path} is not open")
        suspect = self._opened.suspect
        return Health(False, "StoreFailed", f"{self.path}: {suspect}") if suspect else Health(ready=True)

    async def head(self) -> int:
        return 0 if self._opened is None else self._opened.head

    async def compacted(self) -> int:
        return 0 if self._opened is None else self._opened.compacted

    async def append(self, rows: Sequence[Row]) -> None:
        await self._run(self._file.append, rows)
        self._checkpoint_if_due()

    def _checkpoint_if_due(self) -> None:
        """Behind the append that is answered now, on the same thread, so before the next one: the WAL cannot outgrow it."""
        if self._file.checkpoint_due:
            self._thread.behind(self._file.checkpoint)

    async def load(self) -> AsyncIterator[list[Row]]:
        newest = await self._run(self._file.live_revisions)
        for start in range(0, len(newest), CHUNK):
            yield await self._run(self._file.rows_of, newest[start : start + CHUNK])

    async def since(self, revision: int, limit: int) -> list[Row]:
        self._check(revision)
        return await self._run(self._file.rows_since, revision, limit)

    async def at(self, prefix: str, revision: int) -> list[Row]:
        self._check(revision)
        return await self._run(self._live_at, prefix, revision)

    def _live_at(self, prefix: str, revision: int) -> list[Row]:
        """On the store's thread; to sort all keys at once would stop every thread for as long."""
        newest = {row.key: row for row in self._file.rows_until(prefix, revision)}
        keys = list(newest)
        some = (sorted(keys[first : first + CHUNK]) for first in range(0, len(keys), CHUNK))
        return [newest[key] for key in merge(*some) if not newest[key].deleted]

    async def compact(self, revision: int, limit: int) -> int:
        reached = await self._run(self._file.compact, revision, limit)
        self._checkpoint_if_due()
        return reached

    async def check(self) -> list[str]:
        return await self._run(self._file.check)

    async def shrink(self, limit: int) -> int:
        left = await self._run(self._file.shrink, limit)
        self._checkpoint_if_due()
        return left

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        await self._run(self._file.begin_restore)
        head, done = compacted, False
        try:
            async for batch in rows:
                in_order(batch, head)
                await self._run(self._file.replace, batch)
                head += len(batch)
            done = True
        finally:
            await self._run(lambda: self._file.end_restore(compacted, head, keep=done))

    async def stats(self) -> StoreStats:
        return await self._run(self._file.stats)

    @property
    def _file(self) -> SqliteFile:
        if self._opened is None:
            raise DriverError("the store is not open")
        return self._opened

    def _check(self, revision: int) -> None:
        if revision < self._file.compacted:
            raise Compacted(self._file.compacted)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await self._thread.run(partial(self._translated, call, arguments))

    def _translated(self, call: Callable[..., T], arguments: tuple[object, ...]) -> T:
        try:
            return call(*arguments)
        except DriverError:
            raise
        except Exception as error:
            from bareboat.store.sqlite_errors import translated

            translated(error, self.path)
            raise
