"""The tables of a new database, and a look at those of one that has them."""

from __future__ import annotations

import asyncpg

from bareboat.contracts.errors import InvalidConfig
from bareboat_store_postgres.lines import Connection
from bareboat_store_postgres.tables import COMPRESS, SCHEMA_VERSION, TIDY, Statements

#: Of the advisory lock that servers hold which start at the same time.
LOCK = 0x62617265


async def prepare(connection: Connection, statements: Statements, shown: str) -> None:
    """Create what is missing. Raises InvalidConfig for a newer schema or a schema of something else, asyncpg's errors."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        tables = {r[0] for r in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", statements.schema)}
        if not tables:
            await _create(connection, statements)
            return
    if not {"meta", "log", "counter", "writers"} <= tables:
        raise InvalidConfig(f"schema {statements.schema} of {shown} is of something else: give another `schema`")
    found = int(await connection.fetchval(statements("SELECT value FROM {schema}.meta WHERE name = 'schema'")))
    if found != SCHEMA_VERSION:
        raise InvalidConfig(f"{shown} has schema {found}, this version reads {SCHEMA_VERSION}: use the version that wrote it, or newer")
    await connection.execute(statements(TIDY))


async def _create(connection: Connection, statements: Statements) -> None:
    await connection.execute(statements.create)
    try:
        async with connection.transaction():
            await connection.execute(statements(COMPRESS))
    except (asyncpg.FeatureNotSupportedError, asyncpg.PostgresSyntaxError, asyncpg.InvalidParameterValueError):
        return  # built without lz4, or older than 14: values are kept as they are
