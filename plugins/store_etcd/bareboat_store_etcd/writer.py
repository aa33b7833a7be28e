"""Batches as transactions: they happen if the head and this server's own key are as they were last seen.

A transaction without an answer is resolved by writing the server's own key, which shuts out what may still be on its way, and
reading there whether the batch was the last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from bareboat.contracts.errors import Conflict, DriverError
from bareboat.contracts.store import Compacted, LostRace, Row, Uncertain, moved
from bareboat_store_etcd.gateway import Gateway, Unanswered, deletes, puts, reads, unchanged
from bareboat_store_etcd.keys import Keys, LastBatch, to_row, to_value

#: Seconds between two tries to ask; rows read at once to see whose they are.
PAUSE = 0.2
CHUNK = 200


class Writer:
    """``identity`` tells this server from the others."""

    def __init__(self, gateway: Gateway, keys: Keys, identity: str, timeout: float) -> None:
        self._gateway = gateway
        self._keys = keys
        self._key = keys.writer(identity)
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._batch = 0
        self._last = LastBatch()
        self._head, self._head_mod, self._own_mod = 0, -1, -1

    async def extend(self, rows: Sequence[Row], known: int, guards: Sequence[str], *, strict: bool) -> int:
        """See SharedStore.extend; ``strict``: raises Conflict unless ``known`` is the head."""
        if [row.revision for row in rows] != list(range(known + 1, known + 1 + len(rows))):
            raise Conflict(f"the rows must be numbered from {known + 1} without gap")
        if not rows:
            return 0
        async with self._lock:
            self._batch += 1
            while True:
                shift = await self._tried(rows, known, guards, strict)
                if shift is not None:
                    return shift

    async def leave(self) -> None:
        """Take this server's key away."""
        async with self._lock:
            if self._own_mod >= 0:
                await self._gateway.txn([], [deletes(self._key)])

    async def register(self) -> None:
        """Shut out what may be on its way, and learn the head and this server's last batch. Raises DriverError."""
        while True:
            own, head = await self._gateway.read(reads(self._key), reads(self._keys.head))
            mod, value = (own.pairs[0].mod, own.pairs[0].value) if own.pairs else (0, msgspec.json.encode(LastBatch()))
            outcome = await self._gateway.txn([unchanged(self._key, mod)], [puts(self._key, value)])
            if outcome.done:
                self._own_mod = outcome.revision
                self._last = msgspec.json.decode(value, type=LastBatch)
                self._head, self._head_mod = int(head.pairs[0].value), head.pairs[0].mod
                return

    async def _tried(self, rows: Sequence[Row], known: int, guards: Sequence[str], strict: bool) -> int | None:
        """The shift; None if another server wrote in between. Raises DriverError, Uncertain."""
        if self._own_mod < 0 or self._head < known:
            await self.register()
        base = self._head
        shift = base - known
        if shift < 0:
            raise Conflict(f"etcd is behind revision {known}: it was restored from an older copy; start the servers again")
        if shift and strict:
            raise Conflict(f"revision {known} is not the head")
        if shift:
            await self._check(rows, known, base, guards)
        written = [puts(self._keys.row(row.revision + shift), to_value(moved(row, known, shift))) for row in rows]
        last = msgspec.json.encode(LastBatch(self._batch, base))
        success = [puts(self._keys.head, str(base + len(rows))), puts(self._key, last), *written]
        compare = [unchanged(self._keys.head, self._head_mod), unchanged(self._key, self._own_mod)]
        try:
            outcome = await self._gateway.txn(compare, success, [reads(self._keys.head)])
        except (Unanswered, asyncio.CancelledError) as error:
            self._own_mod = -1
            if isinstance(error, asyncio.CancelledError):
                raise
            return await self._resolved(known, error)
        if outcome.done:
            self._head, self._head_mod, self._own_mod = base + len(rows), outcome.revision, outcome.revision
            return shift
        (head,) = outcome.found
        if head.pairs[0].mod == self._head_mod:
            self._own_mod = -1  # it is our own key that changed
        self._head, self._head_mod = int(head.pairs[0].value), head.pairs[0].mod
        return None

    async def _resolved(self, known: int, error: Unanswered) -> int | None:
        """What became of the last transaction: its shift, or None if it did not happen. Raises Uncertain."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        while True:
            try:
                await self.register()
            except DriverError as failure:
                if asyncio.get_running_loop().time() + PAUSE > deadline:
                    self._own_mod = -1
                    raise Uncertain(f"{error.message}, and could not be asked whether it wrote") from failure
                await asyncio.sleep(PAUSE)
            else:
                return self._last.base - known if self._last.number == self._batch else None

    async def _check(self, rows: Sequence[Row], known: int, base: int, guards: Sequence[str]) -> None:
        """Raises LostRace, Compacted."""
        keys, prefixes = {row.key for row in rows}, tuple(guards)
        at = known
        while at < base:
            compacted, found = await self._gateway.read(
                reads(self._keys.compacted), reads(self._keys.row(at + 1), self._keys.row(base + 1), limit=CHUNK)
            )
            if known < int(compacted.pairs[0].value):
                raise Compacted(int(compacted.pairs[0].value))
            for pair in found.pairs:
                other = to_row(pair.value)
                if other.key in keys or (prefixes and other.key.startswith(prefixes)):
                    raise LostRace(f"another server wrote {other.key} at {other.revision}")
                at = other.revision
            if not found.pairs:
                return
