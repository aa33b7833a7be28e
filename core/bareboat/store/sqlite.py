"""The embedded default: one SQLite file in WAL mode with ``synchronous=FULL``, through SQLAlchemy Core.

One connection writes and checkpoints, on one thread, so no other connection ever does (SQLite before 3.51.3 can corrupt a
file that another connection checkpoints). Rows are appended in revision order and never updated; there is no index but the
primary key, because the live rows are in memory above and everything else reads ranges of revisions.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from bareboat.contracts.driver import Health, Host, PluginInfo
from bareboat.contracts.errors import Conflict, DriverError
from bareboat.contracts.store import GROUP, Compacted, Row, Store, StoreStats
from bareboat.store import sqlite_file

T = TypeVar("T")
CHUNK = 2000
_LOG, _META = sqlite_file.LOG, sqlite_file.META


class SqliteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` of the file ("" = store.db in the state directory); ``checkpoint_pages``: 4 KiB WAL pages between checkpoints."""

    path: str = ""
    checkpoint_pages: int = 4000


class SqliteStore(Store):
    """See contracts.store.Store."""

    info = PluginInfo(name="sqlite", summary="one SQLite file, group commit, fsync before every answer", contract=GROUP)
    Options = SqliteOptions

    def __init__(self, options: SqliteOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options
        self.path = Path(options.path) if options.path else host.state_dir / "store.db"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sa.Connection | None = None
        self._head = 0
        self._compacted = 0
        self._uncheckpointed = 0

    async def open(self) -> None:
        if self._connection is None:
            await self._run(self._open)

    async def close(self) -> None:
        if self._connection is not None:
            await self._run(self._close)
        self._thread.shutdown(wait=True)

    async def status(self) -> Health:
        return Health(ready=self._connection is not None)

    async def head(self) -> int:
        return self._head

    async def compacted(self) -> int:
        return self._compacted

    async def append(self, rows: Sequence[Row]) -> None:
        await self._run(self._append, rows)

    async def load(self) -> AsyncIterator[list[Row]]:
        newest = await self._run(self._live_revisions)
        for start in range(0, len(newest), CHUNK):
            yield await self._run(self._rows, _LOG.c.revision.in_(newest[start : start + CHUNK]))

    async def since(self, revision: int, limit: int) -> list[Row]:
        if revision < self._compacted:
            raise Compacted(self._compacted)
        return await self._run(self._rows, _LOG.c.revision > revision, limit)

    async def at(self, prefix: str, revision: int) -> list[Row]:
        if revision < self._compacted:
            raise Compacted(self._compacted)
        wanted = sa.and_(_LOG.c.revision <= revision, _LOG.c.key >= prefix, _LOG.c.key < prefix + "\U0010ffff")
        newest = {row.key: row for row in await self._run(self._rows, wanted)}
        return [newest[key] for key in sorted(newest) if not newest[key].deleted]

    async def compact(self, revision: int, limit: int) -> int:
        return await self._run(self._compact, revision, limit)

    async def stats(self) -> StoreStats:
        return await self._run(self._stats)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._translated, call, arguments)

    def _translated(self, call: Callable[..., T], arguments: tuple[object, ...]) -> T:
        try:
            return call(*arguments)
        except sa.exc.DBAPIError as error:
            raise sqlite_file.translate(error, self.path) from error

    def _open(self) -> None:
        self._connection = sqlite_file.open_connection(self.path)
        self._head = self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(_LOG.c.revision), 0))).scalar_one()
        known = self._connection.execute(sa.select(_META.c.value).where(_META.c.name == "compacted")).scalar()
        self._compacted = int(known or 0)
        self._head = max(self._head, self._compacted)
        self._connection.rollback()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            sqlite_file.checkpoint(connection)
            engine = connection.engine
            connection.close()
            engine.dispose()

    @property
    def _open_connection(self) -> sa.Connection:
        if self._connection is None:
            raise DriverError("the store is not open")
        return self._connection

    def _append(self, rows: Sequence[Row]) -> None:
        if [row.revision for row in rows] != list(range(self._head + 1, self._head + 1 + len(rows))):
            raise Conflict(f"revisions must follow {self._head} without gap")
        connection = self._open_connection
        try:
            connection.execute(_LOG.insert(), [msgspec.structs.asdict(row) for row in rows])
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        self._head = rows[-1].revision if rows else self._head
        self._uncheckpointed += sum(2 + len(row.value) // 4096 for row in rows)
        if self._uncheckpointed >= self._options.checkpoint_pages:
            sqlite_file.checkpoint(connection)
            self._uncheckpointed = 0

    def _live_revisions(self) -> list[int]:
        newest: dict[str, tuple[int, bool]] = {}
        columns = sa.select(_LOG.c.key, _LOG.c.revision, _LOG.c.deleted).order_by(_LOG.c.revision)
        for key, revision, deleted in self._open_connection.execute(columns):
            newest[key] = (revision, deleted)
        self._open_connection.rollback()
        return sorted(revision for revision, deleted in newest.values() if not deleted)

    def _rows(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Row]:
        query = sa.select(_LOG).where(where).order_by(_LOG.c.revision).limit(limit)
        rows = [Row(**found._mapping) for found in self._open_connection.execute(query)]
        self._open_connection.rollback()
        return rows

    def _compact(self, revision: int, limit: int) -> int:
        target = min(revision, self._head, self._compacted + limit)
        if target <= self._compacted:
            return self._compacted
        connection = self._open_connection
        step = sa.and_(_LOG.c.revision > self._compacted, _LOG.c.revision <= target)
        try:
            replaced = connection.execute(sa.select(_LOG.c.previous).where(step, _LOG.c.previous > 0)).scalars().all()
            connection.execute(_LOG.delete().where(_LOG.c.revision.in_(replaced)))
            connection.execute(_LOG.delete().where(step, _LOG.c.deleted))
            sqlite_file.put_meta(connection, "compacted", str(target))
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        self._compacted = target
        return target

    def _stats(self) -> StoreStats:
        rows = self._open_connection.execute(sa.select(sa.func.count()).select_from(_LOG)).scalar_one()
        self._open_connection.rollback()
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        size = sum(os.stat(f).st_size for f in files if f.exists())
        return StoreStats(rows=rows, bytes_used=size, head=self._head, compacted=self._compacted)
