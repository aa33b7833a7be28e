"""Is what the store holds whole? The back end's own check, the chain of revisions, and every value decoded.

What comes in: an open store. What goes out: a list of problems in words, [] if there are none. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import Maintained, Row, Store
from bareboat.models import codec
from bareboat.models.scheme import Scheme
from bareboat.store.entry import resource_of

CHUNK = 500
#: Problems after which it is clear enough.
ENOUGH = 50
Progress = Callable[[int, int], None]


class Verification:
    """``file``: also the back end's own check, which takes long for a large store and holds up writes while it runs."""

    def __init__(self, store: Store, scheme: Scheme, progress: Progress, *, file: bool = True) -> None:
        self._store = store
        self._scheme = scheme
        self._progress = progress
        self._file = file
        self.problems: list[str] = []
        self.rows = 0
        self.objects = 0

    async def run(self) -> list[str]:
        try:
            if self._file and isinstance(self._store, Maintained):
                self.problems += await self._store.check()
            await self._chain()
            await self._live()
        except DriverError as error:
            self.problems.append(error.message)
        return self.problems[:ENOUGH]

    async def _chain(self) -> None:
        """After the compacted revision no revision is missing, and every row names the one before it of its key."""
        compacted, head = await self._store.compacted(), await self._store.head()
        at, latest = compacted, dict[str, Row]()
        while at < head and len(self.problems) < ENOUGH:
            rows = await self._store.since(at, CHUNK)
            if not rows:
                self.problems.append(f"revisions {at + 1} to {head} are missing")
            for row in rows:
                self._link(row, at, compacted, latest.get(row.key))
                at, latest[row.key] = row.revision, msgspec.structs.replace(row, value=b"")
                self.rows += 1
            self._progress(at - compacted, head - compacted)
            if not rows:
                return

    def _link(self, row: Row, at: int, compacted: int, before: Row | None) -> None:
        if row.revision != at + 1:
            self.problems.append(f"revisions {at + 1} to {row.revision - 1} are missing")
        if before is not None and row.previous != (0 if before.deleted else before.revision):
            self.problems.append(f"revision {row.revision}, {row.key}: it follows {row.previous}, but the one before is {before.revision}")
        elif before is None and row.previous > compacted:
            self.problems.append(f"revision {row.revision}, {row.key}: it follows {row.previous}, which is not of that key")

    async def _live(self) -> None:
        seen: set[str] = set()
        async for rows in self._store.load():
            for row in rows:
                if row.key in seen:
                    self.problems.append(f"{row.key} is live twice")
                seen.add(row.key)
                self._decode(row)
        self.objects = len(seen)

    def _decode(self, row: Row) -> None:
        problem = undecodable(row, self._scheme)
        if problem and len(self.problems) < ENOUGH:
            self.problems.append(f"revision {row.revision}, {row.key}: {problem}")


def undecodable(row: Row, scheme: Scheme) -> str:
    """What is wrong with a value in the clear; "" if it is an object of its kind that has the name its key says."""
    group, _, plural = resource_of(row.key).partition("/")
    _, _, namespace, name = row.key.split("/", 3)
    try:
        tree = msgspec.json.decode(row.value, type=dict[str, object])
        metadata = tree.get("metadata")
        cls = scheme.storage("" if group == "core" else group, plural).type
        if cls is not None:
            codec.decode(cls, row.value)
    except KeyError:
        pass  # of a custom resource: any tree will do
    except (msgspec.DecodeError, codec.DecodeError, ValueError, RecursionError) as error:
        return f"the value does not decode: {error}"
    found = (str(metadata.get("namespace", "")), str(metadata.get("name", ""))) if isinstance(metadata, dict) else ("", "")
    return "" if found == (namespace, name) else f"the value is that of {'/'.join(found)}"
