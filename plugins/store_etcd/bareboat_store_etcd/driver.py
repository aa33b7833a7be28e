"""The contract's verbs over etcd's gateway."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Sequence

from bareboat.contracts.errors import DriverError, InvalidConfig
from bareboat.contracts.store import Compacted, Row, StoreStats
from bareboat_store_etcd.gateway import Gateway, HistoryGone, deletes, puts, reads, unchanged
from bareboat_store_etcd.keys import Keys, to_row
from bareboat_store_etcd.options import EtcdOptions
from bareboat_store_etcd.restoring import Restore, discard
from bareboat_store_etcd.writer import Writer

#: Raised when the keys change; an older driver refuses a newer schema.
SCHEMA_VERSION = 1
#: Rows read at once, and revisions compacted at once: their deletes must fit into one transaction of 128 operations.
CHUNK = 400
STEP = 60


class Database:
    """Open until ``close``."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._keys = Keys(options.prefix)
        self._gateway = Gateway(options)
        self._identity = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self.writer = Writer(self._gateway, self._keys, self._identity, options.timeout)

    @classmethod
    async def opened(cls, options: EtcdOptions) -> Database:
        """Raises DriverError."""
        self = cls(options)
        try:
            await self._gateway.open()
            await self._prepare()
            await self.writer.register()
        except BaseException:
            await self._gateway.close()
            raise
        return self

    async def _prepare(self) -> None:
        keys = self._keys
        empty = [puts(keys.schema, str(SCHEMA_VERSION)), puts(keys.head, "0"), puts(keys.compacted, "0")]
        await self._gateway.txn([unchanged(keys.schema, 0)], empty)
        found = int((await self._gateway.range(keys.schema)).pairs[0].value)
        if found != SCHEMA_VERSION:
            where = f"{self._options.prefix} of {self._options.shown}"
            raise InvalidConfig(f"{where} has schema {found}, this version reads {SCHEMA_VERSION}: use the version that wrote it, or newer")
        if unfinished := (await self._gateway.range(keys.restore)).pairs:
            await discard(self._gateway, keys, unfinished[0].mod)

    async def close(self) -> None:
        try:
            await self.writer.leave()
        except DriverError:
            return  # it is away: its key stays, which harms nobody
        finally:
            await self._gateway.close()

    async def head(self) -> int:
        return await self._number(self._keys.head)

    async def compacted(self) -> int:
        return await self._number(self._keys.compacted)

    async def since(self, revision: int, limit: int) -> list[Row]:
        rows: list[Row] = []
        after = revision
        while len(rows) < limit:
            count = min(CHUNK, limit - len(rows))
            compacted, head, found = await self._gateway.read(
                reads(self._keys.compacted), reads(self._keys.head), reads(self._keys.row(after + 1), self._keys.end, limit=count)
            )
            if revision < int(compacted.pairs[0].value):
                raise Compacted(int(compacted.pairs[0].value))
            more = [row for row in (to_row(pair.value) for pair in found.pairs) if row.revision <= int(head.pairs[0].value)]
            rows += more
            if len(more) < count:
                break
            after = rows[-1].revision
        return rows

    async def at(self, prefix: str, revision: int) -> list[Row]:
        newest = await self._newest(prefix, revision)
        kept = await self.compacted()
        if revision < kept:
            raise Compacted(kept)
        return [newest[key] for key in sorted(newest) if not newest[key].deleted]

    async def live(self) -> AsyncIterator[list[Row]]:
        newest = await self._newest("")
        rows = sorted((row for row in newest.values() if not row.deleted), key=lambda row: row.revision)
        newest.clear()
        for start in range(0, len(rows), CHUNK):
            yield rows[start : start + CHUNK]

    async def _newest(self, prefix: str, until: int | None = None) -> dict[str, Row]:
        """Of each key below ``prefix`` the last row up to the revision ``until``, or the head, as of one moment."""
        while True:
            try:
                return await self._scanned(prefix, until)
            except HistoryGone:
                continue  # it took longer than etcd keeps the moment: take another

    async def _scanned(self, prefix: str, until: int | None) -> dict[str, Row]:
        newest: dict[str, Row] = {}
        head = await self._gateway.range(self._keys.head)
        last = int(head.pairs[0].value)
        start, end = self._keys.row(0), self._keys.row((last if until is None else min(until, last)) + 1)
        while True:
            found = await self._gateway.range(start, end, limit=CHUNK, revision=head.revision)
            for pair in found.pairs:
                row = to_row(pair.value)
                if row.key.startswith(prefix):
                    newest[row.key] = row
            if not found.more:
                return newest
            start = found.pairs[-1].key + "\0"

    async def compact(self, revision: int, limit: int) -> int:
        compacted, head = await self._gateway.read(reads(self._keys.compacted), reads(self._keys.head))
        done = int(compacted.pairs[0].value)
        target = min(revision, int(head.pairs[0].value), done + min(limit, STEP))
        if target <= done:
            return done
        found = await self._gateway.range(self._keys.row(done + 1), self._keys.row(target + 1))
        rows = [to_row(pair.value) for pair in found.pairs]
        gone = {row.previous for row in rows if row.previous} | {row.revision for row in rows if row.deleted}
        outcome = await self._gateway.txn(
            [unchanged(self._keys.compacted, compacted.pairs[0].mod)],
            [puts(self._keys.compacted, str(target)), *(deletes(self._keys.row(number)) for number in sorted(gone))],
        )
        if not outcome.done:
            return await self.compacted()  # another server was faster
        if target == revision and self._options.compact:
            await self._forget(outcome.revision)
        return target

    async def _forget(self, revision: int) -> None:
        try:
            await self._gateway.compact(revision)
        except HistoryGone:
            return  # somebody has done so

    async def check(self) -> list[str]:
        compacted, head = await self._gateway.read(reads(self._keys.compacted), reads(self._keys.head))
        first, last = int(compacted.pairs[0].value) + 1, int(head.pairs[0].value)
        try:
            kept = await self._gateway.range(self._keys.row(first), self._keys.row(last + 1), revision=head.revision, count_only=True)
        except HistoryGone:
            return await self.check()  # etcd has compacted that moment: take another
        missing = last + 1 - first - kept.count
        return [f"{missing} revisions are missing between the compacted one and the head"] if missing else []

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        """Servers that run find what they know compacted, and read everything anew."""
        revision = await Restore(self._gateway, self._keys, self._identity).run(compacted, rows)
        if self._options.compact:
            await self._forget(revision)

    async def stats(self) -> StoreStats:
        head = await self.head()
        count = (await self._gateway.range(self._keys.row(0), self._keys.row(head + 1), count_only=True)).count
        return StoreStats(rows=count, bytes_used=await self._gateway.size(), head=head, compacted=await self.compacted())

    async def changes(self) -> AsyncIterator[int]:
        async for value in self._gateway.watch(self._keys.head):
            yield int(value)

    async def _number(self, key: str) -> int:
        return int((await self._gateway.range(key)).pairs[0].value)
