"""A restore in etcd, all or nothing though no transaction holds so many rows: they are put beyond the head, then the head moves there.

Rows beyond the head are nobody's: no verb reads them. So a restore writes its rows there in many transactions, and one last transaction
deletes the log so far and sets ``head`` and ``compacted``. Whoever breaks off before it, even by ``kill -9``, leaves the store as it was;
what lies beyond the head then goes when the store is opened next. ``PREFIX/restore`` is there from the first row to the last
transaction, and each of them asks whether it is still as it was written: two restores never mix.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

from bareboat.contracts.errors import Conflict, DriverError
from bareboat.contracts.store import Row, in_order
from bareboat_store_etcd.gateway import Found, Gateway, Outcome, Unanswered, deletes, puts, reads, unchanged
from bareboat_store_etcd.keys import Keys, to_value

#: What one transaction takes at most: operations, and bytes of values.
MOST_ROWS, MOST_BYTES = 120, 768 * 1024
#: How often etcd is asked what became of the last transaction, and seconds between.
TRIES, PAUSE = 20, 0.5


class Restore:
    """``identity`` tells this one from others."""

    def __init__(self, gateway: Gateway, keys: Keys, identity: str) -> None:
        self._gateway = gateway
        self._keys = keys
        self._identity = identity
        self._mod = 0

    async def run(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> int:
        """See Maintained.restore; returns etcd's revision afterwards. Raises Conflict, DriverError."""
        await self._begin(compacted)
        try:
            head = compacted
            async for batch in rows:
                in_order(batch, head)
                for part in portions(batch):
                    await self._step([puts(self._keys.row(row.revision), to_value(row)) for row in part])
                head += len(batch)
            return await self._switch(compacted, head)
        except BaseException:
            with contextlib.suppress(DriverError):  # it is away: what lies beyond the head goes at the next open
                await discard(self._gateway, self._keys, self._mod)
            raise

    async def _begin(self, compacted: int) -> None:
        marker, head = await self._gateway.read(reads(self._keys.restore), reads(self._keys.head))
        newest = int(head.pairs[0].value)
        if newest > compacted:
            raise Conflict(f"revisions after {compacted} do not move past the store's newest, {newest}")
        found = marker.pairs[0].mod if marker.pairs else 0
        if found:
            await discard(self._gateway, self._keys, found)
        outcome = await self._gateway.txn([unchanged(self._keys.restore, 0)], [puts(self._keys.restore, self._identity)])
        self._mod = self._done(outcome).revision

    async def _step(self, operations: list[dict[str, object]]) -> None:
        self._done(await self._gateway.txn([unchanged(self._keys.restore, self._mod)], operations))

    async def _switch(self, compacted: int, head: int) -> int:
        """Everything of before goes and everything new is there, at once; again if a server wrote meanwhile or nobody answered."""
        keys = self._keys
        new = [puts(keys.head, str(head)), puts(keys.compacted, str(compacted)), deletes(keys.restore)]
        while True:
            marker, before, kept = await self._asked(reads(keys.restore), reads(keys.head), reads(keys.compacted))
            if not marker.pairs and int(kept.pairs[0].value) == compacted and int(before.pairs[0].value) >= head:
                return before.revision  # the try that nobody answered
            if not marker.pairs or marker.pairs[0].mod != self._mod or int(before.pairs[0].value) > compacted:
                raise _cut_off()
            same = [unchanged(keys.restore, self._mod), unchanged(keys.head, before.pairs[0].mod)]
            with contextlib.suppress(Unanswered):
                outcome = await self._gateway.txn(same, [deletes(keys.row(0), keys.row(compacted + 1)), *new])
                if outcome.done:
                    return outcome.revision

    async def _asked(self, *requests: dict[str, object]) -> list[Found]:
        """What is there, also from an etcd that is busy with a large deletion. Raises Unavailable after a while."""
        for _ in range(TRIES):
            with contextlib.suppress(Unanswered):
                return await self._gateway.read(*requests)
            await asyncio.sleep(PAUSE)
        return await self._gateway.read(*requests)

    @staticmethod
    def _done(outcome: Outcome) -> Outcome:
        if not outcome.done:
            raise _cut_off()
        return outcome


def _cut_off() -> Conflict:
    return Conflict("another restore has begun, or a server has opened the store: nothing was restored; stop the servers and restore again")


async def discard(gateway: Gateway, keys: Keys, mod: int) -> None:
    """Take away what the restore of the marker ``mod`` has put beyond the head, unless it has come to its end or another has begun."""
    while True:
        head = (await gateway.range(keys.head)).pairs[0]
        beyond = deletes(keys.row(int(head.value) + 1), keys.end)
        same = [unchanged(keys.restore, mod), unchanged(keys.head, head.mod)]
        outcome = await gateway.txn(same, [beyond, deletes(keys.restore)], [reads(keys.restore)])
        (left,) = outcome.found or (None,)
        if outcome.done or left is None or not left.pairs or left.pairs[0].mod != mod:
            return


def portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """As many as one transaction takes; a single row may be larger."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and (len(part) == MOST_ROWS or size + len(row.value) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.value)
    if part:
        yield part
