"""Connections that come back: each runs one call at a time, is given up when a call is not answered, and is made anew by the next.

What comes in: statements. What goes out: records, or the contract's errors. What is not here: what the statements mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from bareboat_store_postgres.errors import FAILURES, translate, unanswered
from bareboat_store_postgres.options import PostgresOptions, arguments

T = TypeVar("T")
Connection = Any  # asyncpg has no types of its own


async def connect(options: PostgresOptions) -> Connection:
    """A connection whose commits are durable when they are answered. Raises FAILURES, InvalidConfig."""
    settings = {
        "application_name": "bareboat",
        "synchronous_commit": "on",
        "default_transaction_isolation": "read committed",
        "statement_timeout": str(int(options.timeout * 1000)),
        "search_path": "pg_catalog",
    }
    connection = await asyncpg.connect(**arguments(options), server_settings=settings)
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        connection.terminate()
        raise ConnectionError("it is a standby: it cannot be written, and what it says may be old")
    return connection


class Line:
    """One connection. ``prepare`` is run on each new one."""

    def __init__(self, options: PostgresOptions, prepare: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        self._options = options
        self._prepare = prepare
        self._connection: Connection | None = None

    async def connected(self) -> Connection:
        """Raises FAILURES."""
        if self._connection is None or self._connection.is_closed():
            connection = await connect(self._options)
            try:
                if self._prepare is not None:
                    await self._prepare(connection)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    def give_up(self) -> None:
        """Nothing more is expected of this connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=1.0)
        except FAILURES:
            connection.terminate()


class Lines:
    """So many connections for reads, made as they are needed."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._idle = [Line(options) for _ in range(options.readers)]
        self._all = list(self._idle)
        self._free = asyncio.Semaphore(options.readers)

    async def call(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run ``work`` on a connection; once more if that one was lost: reads may be repeated. Raises DriverError."""
        async with self._line() as line:
            for last in (False, True):
                try:
                    return await work(await line.connected())
                except FAILURES as error:
                    if unanswered(error):
                        line.give_up()
                        if not last and not isinstance(error, TimeoutError):
                            continue
                    raise translate(error, self._options.shown) from error
                except BaseException:
                    line.give_up()  # cancelled in the middle: the answer would be taken for another's
                    raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Connection]:
        """A connection for more than one call. Raises DriverError."""
        async with self._line() as line:
            try:
                yield await line.connected()
            except FAILURES as error:
                line.give_up()
                raise translate(error, self._options.shown) from error
            except BaseException:
                line.give_up()
                raise

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Line]:
        async with self._free:
            line = self._idle.pop()
            try:
                yield line
            finally:
                self._idle.append(line)

    async def close(self) -> None:
        for line in self._all:
            await line.close()
