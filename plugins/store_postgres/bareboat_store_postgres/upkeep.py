"""What ``bareboat store`` asks for beyond the verbs: a restore in one transaction, a look at every row, space given back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from bareboat.contracts.store import Row, in_order
from bareboat_store_postgres.lines import Connection, Lines
from bareboat_store_postgres.tables import COMPACTED_AT, HEAD, Statements

COLUMNS = ("revision", "key", "created", "previous", "deleted", "expires_at", "value")
PATIENT = "SET LOCAL statement_timeout = 0"
#: Reads every value, so that a page whose checksum is wrong is met.
READ_ALL = "SELECT count(sha256(value)) FROM {schema}.log WHERE revision > $1"
READ_OLD = "SELECT count(sha256(value)) FROM {schema}.log WHERE revision <= $1"


class Upkeep:
    """Over the connections that read: one of them is taken for as long as it lasts."""

    def __init__(self, lines: Lines, statements: Statements) -> None:
        self._lines = lines
        self._sql = statements

    async def restore(self, compacted: int, batches: AsyncIterator[Sequence[Row]]) -> None:
        """Whoever reads meanwhile waits, and then finds that all it knew is compacted."""
        async with self._lines.borrowed() as connection, connection.transaction():
            await connection.execute(PATIENT)
            await connection.fetchval(self._sql(HEAD + " FOR UPDATE"))
            await connection.execute(self._sql("TRUNCATE {schema}.log"))
            head = compacted
            async for rows in batches:
                in_order(rows, head)
                await self._copy(connection, rows)
                head += len(rows)
            await connection.execute(self._sql("UPDATE {schema}.progress SET compacted = $1"), compacted)
            await connection.execute(self._sql("UPDATE {schema}.counter SET head = $1"), head)

    async def _copy(self, connection: Connection, rows: Sequence[Row]) -> None:
        records = [(r.revision, r.key, r.created, r.previous, r.deleted, r.expires_at, r.value) for r in rows]
        await connection.copy_records_to_table("log", records=records, columns=COLUMNS, schema_name=self._sql.schema, timeout=None)

    async def check(self) -> list[str]:
        async with self._lines.borrowed() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(PATIENT)
            head, compacted = await connection.fetchval(self._sql(HEAD)), await connection.fetchval(self._sql(COMPACTED_AT))
            kept = await connection.fetchval(self._sql(READ_ALL), compacted)
            await connection.fetchval(self._sql(READ_OLD), compacted)
        missing = head - max(compacted, 0) - kept
        return [f"{missing} revisions between {compacted} and {head} are missing"] if missing else []

    async def shrink(self) -> int:
        """All at once: writers are not held up by it."""
        async with self._lines.borrowed() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(self._sql("VACUUM {schema}.log"))
            await connection.execute("RESET statement_timeout")
        return 0
