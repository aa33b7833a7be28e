"""What ``bareboat store`` does with the log of a server, or with one opened for the purpose: the same code either way.

What comes in: a started Log. What goes out: backup bytes, figures, one object as it was, findings. Reads work on a snapshot of
immutable entries, in pieces, off the loop where that takes time, so writers go on. ``progress`` is told (done, of how many).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts.errors import NotFound
from bareboat.contracts.store import Maintained
from bareboat.models.scheme import Scheme
from bareboat.store.backup import CHUNK, Header, Writer, sealing_keys
from bareboat.store.entry import Entry, resource_of
from bareboat.store.errors import CompareFailed
from bareboat.store.log import Log
from bareboat.store.verifying import Progress, Verification

STEP = 100
LARGEST = 10


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """``resources``: objects and bytes of each; ``largest``: key and bytes; ``stale``: objects to seal again."""

    store: str
    head: int
    compacted: int
    rows: int
    bytesUsed: int
    objects: int
    sealed: list[str]
    stale: int
    resources: dict[str, tuple[int, int]]
    largest: list[tuple[str, int]]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    problems: list[str]
    rows: int
    objects: int


class Maintenance:
    """``cluster`` and ``instance`` go into backups."""

    def __init__(self, log: Log, scheme: Scheme, clock: Clock, *, cluster: str, instance: str) -> None:
        self._log = log
        self._scheme = scheme
        self._clock = clock
        self._cluster = cluster
        self._instance = instance

    async def backup(self, sink: Callable[[bytes], Awaitable[None]], progress: Progress) -> Header:
        """Everything as it is at one revision, which the header names."""
        head, entries = self._log.everything()
        entries = await asyncio.to_thread(sorted, entries, key=lambda entry: entry.revision)
        keys = await asyncio.to_thread(self._keys, entries)
        header = Header(
            head=head,
            cluster=self._cluster,
            instance=self._instance,
            store=self._log.store.info.name,
            created=self._clock.timestamp(),
            objects=len(entries),
            keys=keys,
        )
        writer = Writer(header)
        await sink(writer.start())
        for start in range(0, len(entries), CHUNK):
            chosen = entries[start : start + CHUNK]
            await sink(await asyncio.to_thread(lambda part: writer.piece(self._log.row(e) for e in part), chosen))
            progress(start + len(chosen), len(entries))
        await sink(writer.end())
        return header

    def _keys(self, entries: list[Entry]) -> list[str]:
        firsts: dict[str, Entry] = {resource_of(entry.key): entry for entry in entries}
        return sorted(sealing_keys(self._log.row(entry) for entry in firsts.values()))

    async def stats(self) -> Figures:
        stored = await self._log.alone(lambda store: store.stats())
        head, entries = self._log.everything()
        resources, largest = await asyncio.to_thread(_measured, entries)
        keyring = self._log.seals.keyring
        return Figures(
            store=self._log.store.info.name,
            head=head,
            compacted=self._log.compacted,
            rows=stored.rows,
            bytesUsed=stored.bytes_used,
            objects=len(entries),
            sealed=sorted(name for name in resources if keyring and keyring.writer(name)),
            stale=len(self._log.seals.stale),
            resources=resources,
            largest=largest,
        )

    async def get(self, key: str, revision: int = 0) -> tuple[int, bytes]:
        """The object's revision and JSON, now or as it was at ``revision``. Raises NotFound, Compacted."""
        if key.count("/") != 3:
            raise NotFound(f"{key!r} is no key; keys look like core/secrets/NAMESPACE/NAME and core/nodes//NAME")
        found = self._log.get(key)
        if revision:
            namespace = key[: key.rindex("/") + 1]
            found = next((e for e in await self._log.snapshot(namespace, revision) if e.key == key), None)
        if found is None:
            raise NotFound(f"{key} does not exist{f' at revision {revision}' if revision else ''}")
        return found.revision, found.data

    async def compact(self, revision: int, progress: Progress) -> int:
        """Forget the history up to ``revision`` (0 = all of it) and give the space back; writes go on in between."""
        target = revision or self._log.head
        first = self._log.compacted
        while self._log.compacted < min(target, self._log.head):
            reached = await self._log.compact(target, STEP)
            progress(reached - first, target - first)
            await asyncio.sleep(0)
        store = self._log.store
        if isinstance(store, Maintained):
            while await self._log.alone(lambda _: store.shrink(STEP)):
                await asyncio.sleep(0)
        return self._log.compacted

    async def verify(self, progress: Progress, *, file: bool) -> Findings:
        verification = Verification(self._log.store, self._scheme, progress, file=file)
        problems = await verification.run()
        return Findings(problems=problems, rows=verification.rows, objects=verification.objects)

    async def reencrypt(self, progress: Progress) -> int:
        """Write again what is not stored as a write of now would store it; returns how many."""
        stale = sorted(self._log.seals.stale)
        for start in range(0, len(stale), STEP):
            await asyncio.gather(*(self._again(key) for key in stale[start : start + STEP]))
            progress(min(start + STEP, len(stale)), len(stale))
        return len(stale)

    async def _again(self, key: str) -> None:
        entry = self._log.get(key)
        if entry is None:
            return
        try:
            await self._log.write(key, self._log.stored(entry), expect=entry.revision, expires_at=entry.expires_at)
        except CompareFailed:
            return  # somebody else wrote it, and so sealed it


def _measured(entries: list[Entry]) -> tuple[dict[str, tuple[int, int]], list[tuple[str, int]]]:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        total = totals[resource_of(entry.key)]
        total[0] += 1
        total[1] += len(entry.data)
    largest = sorted(((len(e.data), e.key) for e in entries), reverse=True)[:LARGEST]
    return {name: (count, size) for name, (count, size) in sorted(totals.items())}, [(key, size) for size, key in largest]
