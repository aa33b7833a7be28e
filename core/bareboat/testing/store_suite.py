"""The rules of the store contract as a test suite: subclass it and name the driver.

    class TestMyStore(StoreSuite):
        driver_class = MyStore
        durable = True                      # rows survive close and a new store over the same directory

A store that needs more than a directory writes ``make(path)`` itself: an opened store whose data belongs to ``path``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from bareboat.contracts.errors import Conflict
from bareboat.contracts.store import GROUP, Compacted, Maintained, Row, Store
from bareboat.testing.driver_suite import Soundness


def row(
    revision: int, key: str, *, previous: int = 0, created: int = 0, deleted: bool = False, value: bytes = b'{"metadata":{"name":"x"}}'
) -> Row:
    return Row(key=key, revision=revision, created=created or revision, previous=previous, value=value, deleted=deleted)


async def given(*batches: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    """What ``restore`` takes."""
    for batch in batches:
        yield batch


class StoreSuite(Soundness):
    """Every rule of contracts.store, against the store that ``make`` gives."""

    group = GROUP
    durable: ClassVar[bool] = True

    async def make(self, path: Path) -> Store:
        store: Store = self.make_driver(self.make_host(path))
        await store.open()
        return store

    async def live(self, store: Store) -> list[tuple[str, int]]:
        return [(r.key, r.revision) async for rows in store.load() for r in rows]

    async def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        assert (await store.head(), await store.compacted(), await self.live(store)) == (0, 0, [])
        await store.close()

    async def test_live_rows_are_the_newest_that_are_not_deleted(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/a/y")])
        await store.append([row(3, "core/pods/a/x", previous=1, created=1), row(4, "core/pods/a/y", previous=2, created=2, deleted=True)])
        assert await self.live(store) == [("core/pods/a/x", 3)]
        assert await store.head() == 4
        await store.close()

    async def test_rows_come_back_as_they_were(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        written = Row(key="core/events/a/é", revision=1, created=1, previous=0, value=bytes(range(256)), expires_at=1.5)
        await store.append([written])
        assert await store.since(0, 10) == [written]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(written), type=Row) == written
        await store.close()

    async def test_revisions_must_follow_without_gap_and_all_or_nothing(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(1, "core/pods/a/x")])
        for wrong in ([row(3, "core/pods/a/y")], [row(1, "core/pods/a/y")], [row(2, "core/pods/a/y"), row(4, "core/pods/a/z")]):
            with pytest.raises(Conflict):
                await store.append(wrong)
        assert await store.head() == 1
        assert [r.key for r in await store.since(0, 10)] == ["core/pods/a/x"]
        await store.close()

    async def test_since_gives_every_row_in_order_and_at_most_limit(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(i, f"core/pods/a/p{i}") for i in range(1, 8)])
        assert [r.revision for r in await store.since(2, 3)] == [3, 4, 5]
        assert await store.since(7, 3) == []
        await store.close()

    async def test_a_past_state_can_be_read(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/b/y"), row(3, "core/nodes//n")])
        await store.append([row(4, "core/pods/a/x", previous=1, created=1, deleted=True)])
        assert [r.key for r in await store.at("core/pods/", 3)] == ["core/pods/a/x", "core/pods/b/y"]
        assert [r.key for r in await store.at("core/pods/", 4)] == ["core/pods/b/y"]
        assert [r.key for r in await store.at("core/pods/a/", 2)] == ["core/pods/a/x"]
        await store.close()

    async def test_compaction_forgets_what_was_replaced_and_keeps_what_lives(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/a/gone"), row(3, "core/pods/a/still")])
        await store.append(
            [row(4, "core/pods/a/x", previous=1, created=1), row(5, "core/pods/a/gone", previous=2, created=2, deleted=True)]
        )
        await store.append([row(6, "core/pods/a/x", previous=4, created=1)])
        while await store.compact(5, 2) < 5:
            pass
        assert await store.compacted() == 5
        assert await self.live(store) == [("core/pods/a/still", 3), ("core/pods/a/x", 6)]
        assert [r.revision for r in await store.since(5, 10)] == [6]
        for stale in (store.since(4, 10), store.at("core/pods/", 4)):
            with pytest.raises(Compacted) as caught:
                await stale
            assert caught.value.compacted == 5
        assert (await store.stats()).rows == 3
        await store.close()

    async def test_a_key_may_come_back_after_its_delete(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/a/x", previous=1, created=1, deleted=True), row(3, "core/pods/a/x")])
        await store.compact(3, 100)
        assert await self.live(store) == [("core/pods/a/x", 3)]
        await store.close()

    async def test_everything_survives_a_restart(self, tmp_path: Path) -> None:
        if not self.durable:
            pytest.skip("the store is not durable, by design")
        store = await self.make(tmp_path)
        await store.append([row(i, f"core/pods/a/p{i}") for i in range(1, 4)])
        await store.compact(2, 100)
        await store.close()
        store = await self.make(tmp_path)
        assert (await store.head(), await store.compacted()) == (3, 2)
        assert len(await self.live(store)) == 3
        await store.append([row(4, "core/pods/a/p4")])
        await store.close()

    async def test_an_empty_append_writes_nothing(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.append([])
        await store.append([row(1, "core/pods/a/x")])
        await store.append([])
        assert await store.head() == 1
        await store.close()

    async def maintained(self, path: Path) -> Maintained:
        store = await self.make(path)
        if not isinstance(store, Maintained):
            await store.close()
            pytest.skip("the store does not offer upkeep")
        return store

    async def test_a_restore_replaces_everything_and_goes_on_from_its_revision(self, tmp_path: Path) -> None:
        store = await self.maintained(tmp_path)
        await store.append([row(1, "core/pods/a/old"), row(2, "core/pods/a/gone", previous=0)])
        await store.restore(1000, given([row(1001, "core/pods/a/x"), row(1002, "core/pods/a/y")], [row(1003, "core/pods/b/z")]))
        assert (await store.head(), await store.compacted()) == (1003, 1000)
        assert await self.live(store) == [("core/pods/a/x", 1001), ("core/pods/a/y", 1002), ("core/pods/b/z", 1003)]
        with pytest.raises(Compacted):
            await store.since(2, 10)
        await store.append([row(1004, "core/pods/a/x", previous=1001, created=1001)])
        assert await store.check() == []
        await store.close()

    async def test_a_restore_of_nothing_leaves_an_empty_store_at_its_revision(self, tmp_path: Path) -> None:
        store = await self.maintained(tmp_path)
        await store.append([row(1, "core/pods/a/old")])
        await store.restore(50, given())
        assert (await store.head(), await store.compacted(), await self.live(store)) == (50, 50, [])
        await store.append([row(51, "core/pods/a/new")])
        await store.close()

    async def test_a_restore_that_breaks_off_changes_nothing(self, tmp_path: Path) -> None:
        store = await self.maintained(tmp_path)
        await store.append([row(1, "core/pods/a/old")])
        with pytest.raises(Conflict):
            await store.restore(10, given([row(11, "core/pods/a/x")], [row(13, "core/pods/a/y")]))
        assert (await store.head(), await store.compacted()) == (1, 0)
        assert await self.live(store) == [("core/pods/a/old", 1)]
        await store.append([row(2, "core/pods/a/next")])
        await store.close()

    async def test_space_is_given_back_in_steps_that_end(self, tmp_path: Path) -> None:
        store = await self.maintained(tmp_path)
        for start in range(1, 500, 100):
            numbers = range(start, min(500, start + 100))
            await store.append([row(i, "core/pods/a/x", previous=i - 1, created=1, value=b"x" * 2000) for i in numbers])
        while await store.compact(499, 100) < 499:
            pass
        for _ in range(1000):
            if await store.shrink(50) == 0:
                break
        assert await store.shrink(50) == 0
        assert await self.live(store) == [("core/pods/a/x", 499)]
        await store.close()

    async def test_open_and_close_may_be_repeated(self, tmp_path: Path) -> None:
        store = await self.make(tmp_path)
        await store.open()
        await store.close()
        await store.close()
