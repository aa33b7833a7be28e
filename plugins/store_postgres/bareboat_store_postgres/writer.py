"""The one connection that writes, and what became of a batch whose answer was lost.

Each batch has a number that is stored with it. When the connection ends before the answer, a new one shuts out whatever the
old one may still have under way (its epoch), and asks for the number of the last batch that was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bareboat.contracts.errors import Conflict, DriverError
from bareboat.contracts.store import Compacted, LostRace, Row, Uncertain
from bareboat_store_postgres.errors import FAILURES, translate, unanswered
from bareboat_store_postgres.lines import Connection, Line
from bareboat_store_postgres.options import PostgresOptions
from bareboat_store_postgres.tables import COMPACTED, EXTEND, LEAVE, LOST_RACE, NOT_HEAD, REGISTER, SHUT_OUT, WENT_BACK, Statements

#: Seconds between two tries to ask.
PAUSE = 0.2


class Writer:
    """``identity`` tells this server from the others."""

    def __init__(self, options: PostgresOptions, statements: Statements, identity: str) -> None:
        self._options = options
        self._statements = statements
        self._identity = identity
        self._line = Line(options, self._register)
        self._lock = asyncio.Lock()
        self._epoch = self._batch = 0
        #: what the database has as this server's last batch, and the head before it
        self._stored, self._base = 0, 0
        self.pid = 0

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str], *, strict: bool) -> int:
        """See SharedStore.extend; ``strict``: raises Conflict unless ``known`` is the head."""
        if [row.revision for row in rows] != list(range(known + 1, known + 1 + len(rows))):
            raise Conflict(f"the rows must be numbered from {known + 1} without gap")
        if not rows:
            return 0
        async with self._lock:
            self._batch += 1
            while True:
                answer = await self._answered(rows, known, guards, strict)
                if answer == SHUT_OUT:  # somebody tidied this server's row away
                    self._line.give_up()
                    continue
                return self._meant(answer, known)

    async def leave(self) -> None:
        """Take this server's row away and close."""
        async with self._lock:
            try:
                connection = await self._line.connected()
                await connection.execute(self._statements(LEAVE), self._identity, timeout=self._options.timeout)
            except (*FAILURES, DriverError):
                self._line.give_up()
            await self._line.close()

    async def _answered(self, rows: Sequence[Row], known: int, guards: Sequence[str], strict: bool) -> int:
        """What the database says of the batch, asked until it can be told. Raises DriverError."""
        sent, deadline = False, 0.0
        while True:
            try:
                connection = await self._line.connected()
                if sent and self._stored == self._batch:
                    return self._base - known
                sent = True
                return await self._send(connection, rows, known, guards, strict)
            except FAILURES as error:
                if not unanswered(error):
                    raise translate(error, self._options.shown) from error
                self._line.give_up()
                now = asyncio.get_running_loop().time()
                deadline = deadline or now + self._options.timeout  # time to ask: what was waited for the answer does not count
                if now + PAUSE > deadline:
                    failure = translate(error, self._options.shown)
                    raise (Uncertain(f"{failure.message}, and could not be asked whether it wrote") if sent else failure) from error
                await asyncio.sleep(PAUSE)
            except BaseException:
                self._line.give_up()
                raise

    async def _send(self, connection: Connection, rows: Sequence[Row], known: int, guards: Sequence[str], strict: bool) -> int:
        answer: int = await connection.fetchval(
            self._statements(EXTEND),
            self._identity,
            self._epoch,
            self._batch,
            known,
            strict,
            list(guards),
            [row.key for row in rows],
            [row.created for row in rows],
            [row.previous for row in rows],
            [row.deleted for row in rows],
            [row.expires_at for row in rows],
            [row.value for row in rows],
            timeout=self._options.timeout,
        )
        return answer

    def _meant(self, answer: int, known: int) -> int:
        if answer == NOT_HEAD:
            raise Conflict(f"revision {known} is not the head")
        if answer == LOST_RACE:
            raise LostRace(f"another server wrote after {known}")
        if answer == COMPACTED:
            raise Compacted(known + 1)
        if answer == WENT_BACK:
            raise Conflict(f"the database is behind revision {known}: it was restored from an older copy; start the servers again")
        return answer

    async def _register(self, connection: Connection) -> None:
        epoch, batch, base = await connection.fetchrow(self._statements(REGISTER), self._identity, timeout=self._options.timeout)
        self._epoch, self._stored, self._base = epoch, batch, base
        self.pid = connection.get_server_pid()

    async def open(self) -> None:
        """Raises DriverError."""
        try:
            await self._line.connected()
        except FAILURES as error:
            raise translate(error, self._options.shown) from error
