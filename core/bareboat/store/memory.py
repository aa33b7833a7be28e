"""A store in memory: for tests and for clusters that need not outlive their process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from bareboat.contracts.driver import Health, Host, NoOptions, PluginInfo
from bareboat.contracts.store import GROUP, Compacted, Maintained, Row, StoreStats, in_order

CHUNK = 1000


class MemoryStore(Maintained):
    """Rows in a list. Nothing survives ``close``; nothing is written anywhere."""

    info = PluginInfo(name="memory", summary="objects in memory, gone with the process", contract=GROUP)
    Options = NoOptions

    def __init__(self, options: NoOptions | None = None, host: Host | None = None) -> None:
        super().__init__(options or NoOptions(), host)  # type: ignore[arg-type]  # it needs nothing of the host
        self._rows: dict[int, Row] = {}
        self._latest: dict[str, int] = {}
        self._head = 0
        self._compacted = 0

    async def status(self) -> Health:
        return Health(ready=True)

    async def head(self) -> int:
        return self._head

    async def compacted(self) -> int:
        return self._compacted

    async def append(self, rows: Sequence[Row]) -> None:
        in_order(rows, self._head)
        for row in rows:
            self._rows[row.revision] = row
            self._latest[row.key] = row.revision
        self._head += len(rows)

    async def load(self) -> AsyncIterator[list[Row]]:
        live = [row for r in sorted(self._latest.values()) if not (row := self._rows[r]).deleted]
        for start in range(0, len(live), CHUNK):
            yield live[start : start + CHUNK]

    async def since(self, revision: int, limit: int) -> list[Row]:
        if revision < self._compacted:
            raise Compacted(self._compacted)
        return [self._rows[r] for r in range(revision + 1, min(self._head, revision + limit) + 1) if r in self._rows]

    async def at(self, prefix: str, revision: int) -> list[Row]:
        if revision < self._compacted:
            raise Compacted(self._compacted)
        newest: dict[str, Row] = {}
        for number in sorted(self._rows):
            row = self._rows[number]
            if number <= revision and row.key.startswith(prefix):
                newest[row.key] = row
        return [newest[key] for key in sorted(newest) if not newest[key].deleted]

    async def compact(self, revision: int, limit: int) -> int:
        target = min(revision, self._head, self._compacted + limit)
        for number in range(self._compacted + 1, target + 1):
            row = self._rows.get(number)
            if row is None:
                continue
            self._rows.pop(row.previous, None)
            if row.deleted:
                del self._rows[number]
                if self._latest.get(row.key) == number:
                    del self._latest[row.key]
        self._compacted = max(self._compacted, target)
        return self._compacted

    async def stats(self) -> StoreStats:
        size = sum(len(row.value) for row in self._rows.values())
        return StoreStats(rows=len(self._rows), bytes_used=size, head=self._head, compacted=self._compacted)

    async def check(self) -> list[str]:
        return []

    async def shrink(self, limit: int) -> int:
        del limit
        return 0

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        kept: list[Row] = []
        async for batch in rows:
            in_order(batch, compacted + len(kept))
            kept.extend(batch)
        self._rows = {row.revision: row for row in kept}
        self._latest = {row.key: row.revision for row in kept}
        self._compacted, self._head = compacted, compacted + len(kept)
