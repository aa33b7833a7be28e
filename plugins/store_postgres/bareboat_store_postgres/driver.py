"""The contract's verbs over the database's connections: one writes, some read, one listens."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

from bareboat.contracts.errors import Unavailable
from bareboat.contracts.store import Compacted, Row, StoreStats, in_order
from bareboat_store_postgres import tables
from bareboat_store_postgres.errors import FAILURES, translate
from bareboat_store_postgres.lines import Connection, Lines, connect
from bareboat_store_postgres.options import PostgresOptions
from bareboat_store_postgres.schema import prepare
from bareboat_store_postgres.writer import Writer

log = logging.getLogger("bareboat.store.postgres")
CHUNK = 2000


class Database:
    """Open until ``close``."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._sql = tables.Statements(options.schema)
        self._read = Lines(options)
        self.writer = Writer(options, self._sql, f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}")

    @classmethod
    async def opened(cls, options: PostgresOptions) -> Database:
        """Raises DriverError."""
        self = cls(options)
        try:
            async with self._read.borrowed() as connection:
                await prepare(connection, self._sql, options.shown)
                if await connection.fetchval("SHOW fsync") != "on":
                    log.warning("%s runs with fsync off: what it acknowledges is lost when the machine stops", options.shown)
            await self.writer.open()
        except BaseException:
            await self._read.close()
            raise
        return self

    async def close(self) -> None:
        await self.writer.leave()
        await self._read.close()

    async def head(self) -> int:
        return int(await self._value(tables.HEAD))

    async def compacted(self) -> int:
        return int(await self._value(tables.COMPACTED_AT))

    async def since(self, revision: int, limit: int) -> list[Row]:
        found = await self._fetch(tables.SINCE, revision, limit)
        if revision < found[0][0]:
            raise Compacted(found[0][0])
        return _rows([record[1:] for record in found if record[1] is not None])

    async def at(self, prefix: str, revision: int) -> list[Row]:
        rows = _rows(await self._fetch(tables.AT, prefix, revision))
        kept = await self.compacted()
        if revision < kept:
            raise Compacted(kept)
        return [row for row in rows if not row.deleted]

    async def live(self) -> AsyncIterator[list[Row]]:
        async with self._read.borrowed() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("SET LOCAL statement_timeout = 0")
            cursor = await connection.cursor(self._sql(tables.LIVE))
            while found := await cursor.fetch(CHUNK, timeout=max(60.0, self._options.timeout)):
                yield _rows(found)

    async def compact(self, revision: int, limit: int) -> int:
        async def step(connection: Connection) -> int:
            async with connection.transaction():
                done = await connection.fetchval(self._sql(tables.COMPACTED_AT + " FOR UPDATE"))
                target = min(revision, await connection.fetchval(self._sql(tables.HEAD)), done + limit)
                if target <= done:
                    return int(done)
                await connection.execute(self._sql(tables.FORGET_REPLACED), done, target)
                await connection.execute(self._sql(tables.FORGET_DELETED), done, target)
                await connection.execute(self._sql(tables.ADVANCE), target)
                return int(target)

        return await self._read.call(step)

    async def check(self) -> list[str]:
        ((missing, beyond, crooked),) = await self._fetch(tables.FAULTS)
        found = [
            (missing, "revisions are missing between the compacted one and the head"),
            (beyond, "rows are newer than the head"),
            (crooked, "rows are older than what they replace"),
        ]
        return [f"{count} {what}" for count, what in found if count]

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        """In one transaction; servers that run find what they know compacted, and read everything anew."""
        async with self._read.borrowed() as connection, connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute(self._sql(tables.HEAD + " FOR UPDATE"))
            await connection.execute(self._sql(tables.EMPTY))
            head = compacted
            async for batch in rows:
                in_order(batch, head)
                head += len(batch)
                records = [(r.revision, r.key, r.created, r.previous, r.deleted, r.expires_at, r.value) for r in batch]
                await connection.copy_records_to_table("log", records=records, columns=tables.NAMES, schema_name=self._options.schema)
            await connection.execute(self._sql(tables.BEGIN_AT), head)
            await connection.execute(self._sql(tables.ADVANCE), compacted)
            await connection.execute("SELECT pg_notify($1, $2)", self._sql.channel, str(head))

    async def stats(self) -> StoreStats:
        ((rows, size, head, compacted),) = await self._fetch(tables.STATS)
        return StoreStats(rows=rows, bytes_used=size, head=head, compacted=compacted)

    async def changes(self) -> AsyncIterator[int]:
        told: asyncio.Queue[int | None] = asyncio.Queue()

        def heard(_connection: Any, pid: int, _channel: str, head: str) -> None:
            if pid != self.writer.pid:
                told.put_nowait(int(head))

        def ended(_connection: Any) -> None:
            told.put_nowait(None)

        try:
            connection = await connect(self._options)
        except FAILURES as error:
            raise translate(error, self._options.shown) from error
        try:
            connection.add_termination_listener(ended)
            await connection.add_listener(self._sql.channel, heard)
            while (head := await told.get()) is not None:
                yield head
        except FAILURES as error:
            raise translate(error, self._options.shown) from error
        finally:
            connection.terminate()
        raise Unavailable(f"{self._options.shown} ended the connection", reason="StoreUnreachable")

    async def _fetch(self, statement: str, *values: object) -> list[Any]:
        return await self._read.call(lambda c: c.fetch(self._sql(statement), *values, timeout=self._options.timeout))

    async def _value(self, statement: str) -> Any:
        return await self._read.call(lambda c: c.fetchval(self._sql(statement), timeout=self._options.timeout))


def _rows(found: Sequence[Any]) -> list[Row]:
    return [
        Row(key=key, revision=revision, created=created, previous=previous, value=bytes(value), deleted=deleted, expires_at=expires_at)
        for revision, key, created, previous, deleted, expires_at, value in found
    ]
