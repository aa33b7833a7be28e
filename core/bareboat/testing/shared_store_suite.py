"""The rules of stores that several servers share, on top of those for every store. ``make`` opens one more server each time.

class TestMyStore(SharedStoreSuite):
    async def make(self, path): ...     # another opener of the store under ``path``
    async def cut(self, path): ...      # end every connection that openers have, at once
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts.errors import Conflict, DriverError, Unavailable
from bareboat.contracts.store import Compacted, LostRace, SharedStore
from bareboat.store.entry import head
from bareboat.store.errors import StoreFailed
from bareboat.store.shared import SharedLog, StoreUncertain
from bareboat.testing.store_suite import StoreSuite, row

A, B, C = "core/pods/a/x", "core/pods/a/y", "core/pods/b/z"


class SharedStoreSuite(StoreSuite):
    """Every rule of contracts.store.SharedStore."""

    async def make(self, path: Path) -> SharedStore:
        raise NotImplementedError

    async def cut(self, path: Path) -> None:
        raise NotImplementedError

    async def two(self, path: Path) -> tuple[SharedStore, SharedStore]:
        return await self.make(path), await self.make(path)

    async def closed(self, *stores: SharedStore) -> None:
        for store in stores:
            await store.close()

    async def test_a_batch_goes_after_what_others_wrote(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        assert await one.extend([row(1, A), row(2, B)], 0) == 0
        shift = await two.extend([row(1, C), row(2, C, previous=1, created=1), row(3, "core/pods/b/n")], 0)
        assert shift == 2
        assert await one.head() == 5
        found = [(r.revision, r.key, r.previous, r.created) for r in await one.since(0, 10)]
        assert found == [(1, A, 0, 1), (2, B, 0, 2), (3, C, 0, 3), (4, C, 3, 3), (5, "core/pods/b/n", 0, 5)]
        await self.closed(one, two)

    async def test_who_wrote_on_an_old_base_lost_and_nothing_is_written(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.extend([row(1, A)], 0)
        assert await two.head() == 1
        await one.extend([row(2, A, previous=1, created=1)], 1)
        with pytest.raises(LostRace):
            await two.extend([row(2, B), row(3, A, previous=1, created=1)], 1)
        assert await two.head() == 2
        assert await two.extend([row(3, B), row(4, A, previous=2, created=1)], 2) == 0
        await self.closed(one, two)

    async def test_a_guard_is_lost_when_others_wrote_under_it(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.extend([row(1, "core/services/a/s")], 0)
        with pytest.raises(LostRace):
            await two.extend([row(1, "core/services/b/t")], 0, ["core/services/"])
        assert await two.extend([row(1, "core/services/b/t")], 0, ["core/servicesx/", "core/pods/"]) == 1
        await self.closed(one, two)

    async def test_rows_must_be_numbered_from_what_is_known(self, tmp_path: Path) -> None:
        one, _ = two = await self.two(tmp_path)
        for wrong in ([row(2, A)], [row(1, A), row(3, B)]):
            with pytest.raises(Conflict):
                await one.extend(wrong, 0)
        with pytest.raises(Conflict):
            await one.extend([row(8, A)], 7)
        assert await one.head() == 0
        await self.closed(*two)

    async def test_append_is_a_compare_and_swap_of_the_head(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.append([row(1, A)])
        with pytest.raises(Conflict):
            await two.append([row(1, B)])
        await two.append([row(2, B)])
        assert await one.head() == 2
        await self.closed(one, two)

    async def test_writers_that_interleave_make_one_history_without_gap(self, tmp_path: Path) -> None:
        stores = [await self.make(tmp_path) for _ in range(3)]

        async def write(store: SharedStore, name: str) -> None:
            known, previous, created = 0, 0, 0
            for _ in range(20):
                rows = [
                    row(known + 1, f"core/pods/a/{name}", previous=previous, created=created),
                    row(known + 2, f"core/pods/b/{name}{known}"),
                ]
                shift = await store.extend(rows, known)
                previous = known + 1 + shift
                created = created or previous
                known += 2 + shift

        await asyncio.gather(*(write(store, f"w{i}") for i, store in enumerate(stores)))
        rows = await stores[0].since(0, 1000)
        assert [r.revision for r in rows] == list(range(1, 121))
        newest: dict[str, int] = {}
        for found in rows:
            assert found.previous == newest.get(found.key, 0)
            newest[found.key] = found.revision
        assert await stores[1].since(0, 1000) == rows
        await self.closed(*stores)

    async def test_a_reader_never_misses_a_revision_while_others_write(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        seen: list[int] = []

        async def follow() -> None:
            while len(seen) < 60:
                seen.extend(r.revision for r in await one.since(len(seen), 7))

        async def write(store: SharedStore, name: str) -> None:
            known = 0
            for i in range(30):
                known += 1 + await store.extend([row(known + 1, f"core/pods/{name}/p{i}")], known)

        async with asyncio.timeout(30):
            await asyncio.gather(follow(), write(one, "a"), write(two, "b"))
        assert seen == list(range(1, 61))
        await self.closed(one, two)

    async def test_the_head_is_that_of_every_server_at_once(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        for revision in range(1, 30):
            await (one, two)[revision % 2].extend([row(revision, f"core/pods/a/p{revision}")], revision - 1)
            assert await (two, one)[revision % 2].head() == revision
        await self.closed(one, two)

    async def test_others_are_told_of_changes(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        async with aclosing(self._hints(two)) as hints:
            told = asyncio.ensure_future(anext(hints))
            await asyncio.sleep(0.3)
            await one.extend([row(1, A)], 0)
            async with asyncio.timeout(5):
                assert await told == 1
        await self.closed(one, two)

    async def _hints(self, store: SharedStore) -> Any:
        async with aclosing(store.changes()) as changes:  # type: ignore[type-var]  # every driver's is a generator
            async for hint in changes:
                yield hint

    async def test_one_that_is_too_far_behind_is_told(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.extend([row(1, A), row(2, A, previous=1, created=1), row(3, A, previous=2, created=1)], 0)
        while await one.compact(3, 100) < 3:
            pass
        assert await two.compacted() == 3
        for late in (two.since(1, 10), two.extend([row(2, B)], 1)):
            with pytest.raises(Compacted):
                await late
        assert await two.extend([row(4, B)], 3) == 0
        await self.closed(one, two)

    async def test_two_servers_may_compact_at_once(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.extend([row(i, A, previous=i - 1, created=1) for i in range(1, 41)], 0)

        async def compact(store: SharedStore) -> None:
            while await store.compact(40, 7) < 40:
                await asyncio.sleep(0)

        await asyncio.gather(compact(one), compact(two))
        assert await self.live(one) == [(A, 40)]
        assert (await two.stats()).rows == 1
        await self.closed(one, two)

    async def test_cut_connections_come_back(self, tmp_path: Path) -> None:
        one, two = await self.two(tmp_path)
        await one.extend([row(1, A)], 0)
        await self.cut(tmp_path)
        assert await two.head() == 1
        assert [r.revision for r in await one.since(0, 10)] == [1]
        assert await one.extend([row(2, B)], 1) == 0
        assert await two.extend([row(1, C)], 0) == 2
        await self.closed(one, two)

    async def test_what_is_answered_is_so_however_often_connections_are_cut_in_the_middle(self, tmp_path: Path) -> None:
        stores = await self.two(tmp_path)
        said: dict[str, bool | None] = {}

        async def write(store: SharedStore, name: str) -> None:
            known = 0
            for i in range(80):
                key = f"core/pods/{name}/p{i}"
                try:
                    known += 1 + await store.extend([row(known + 1, key)], known)
                    said[key] = True
                except DriverError as error:
                    said[key] = None if error.reason == "Uncertain" else False

        async def saw() -> None:
            wait = 0.02
            while True:
                await asyncio.sleep(wait)
                await self.cut(tmp_path)
                wait *= 1.1  # a slow machine gets something done, too

        cutting = asyncio.ensure_future(saw())
        async with asyncio.timeout(60):
            await asyncio.gather(*(write(store, f"w{i}") for i, store in enumerate(stores)))
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        stored = [r.key for r in await stores[0].since(0, 1000)]
        assert len(stored) == len(set(stored)), "nothing twice"
        assert [key for key, answer in said.items() if answer is True and key not in stored] == [], "acknowledged and lost"
        assert [key for key, answer in said.items() if answer is False and key in stored] == [], "refused and there"
        assert sum(answer is True for answer in said.values()) > 80
        await self.closed(*stores)

    async def test_logs_over_it_tell_one_story_while_connections_are_cut(self, tmp_path: Path) -> None:
        logs = [SharedLog(await self.make(tmp_path), SystemClock(), lambda _: head("Pod", "v1")) for _ in range(2)]
        for log in logs:
            await log.start()
        watches = [await log.subscribe("core/pods/", 0) for log in logs]
        counted = dict.fromkeys((0, 1), 0)

        async def write(number: int) -> None:
            for i in range(100):
                try:
                    await logs[number].update(f"core/pods/a/p{i % 5}", lambda _: msgspec.json.encode({"metadata": {"name": "p"}}))
                    counted[number] += 1
                except StoreUncertain:
                    continue
                except StoreFailed:
                    await asyncio.sleep(0.05)

        async def saw() -> None:
            for _ in range(4):
                await asyncio.sleep(0.1)
                await self.cut(tmp_path)

        async with asyncio.timeout(60):
            await asyncio.gather(write(0), write(1), write(0), write(1), saw())
            while any(log.fault for log in logs):
                await asyncio.sleep(0.1)
            for log in logs:
                await log.fresh()
        stories = [[(c.revision, c.key, c.deleted) for c in watch.take()] for watch in watches]
        assert stories[0] == stories[1]
        assert [revision for revision, _, _ in stories[0]] == list(range(1, len(stories[0]) + 1))
        assert len(stories[0]) >= sum(counted.values())
        for log in logs:
            await log.stop()


async def told_while_it_hangs(store: SharedStore, pause: Callable[[], None], resume: Callable[[], None]) -> None:
    """Of an empty store with a timeout of a second or so, whose database stands still from ``pause`` to ``resume``: callers are told in
    time, and afterwards the store knows whether it did what they asked. Closes the store."""
    await store.append([row(1, A)])
    pause()
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await store.extend([row(2, B)], 1)
        with pytest.raises(Unavailable):
            await store.head()
        assert time.monotonic() - began < 8
    finally:
        resume()
    try:
        known = await store.head()
        assert known in (1, 2)
        others = await store.extend([row(known + 1, C)], known)
        assert others in (0, 2 - known), "what hung may have arrived in between"
        assert await store.head() == known + others + 1
    finally:
        await store.close()


async def asked_when_it_hung(store: SharedStore, pause: Callable[[], None], resume: Callable[[], None]) -> None:
    """Of an empty store with a timeout of three seconds, whose database stands still for longer than that: a write is not given up
    before the database was asked for what became of it. Closes the store."""
    await store.append([row(1, A)])
    pause()
    try:
        writing = asyncio.ensure_future(store.extend([row(2, B)], 1))
        await asyncio.sleep(3.3)
    finally:
        resume()
    try:
        assert await writing == 0
        assert [r.key for r in await store.since(0, 10)] == [A, B]
    finally:
        await store.close()
