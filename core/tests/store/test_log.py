"""The log: compare-and-swap, group commit, watches without gap or duplicate, snapshots, expiry, compaction."""

import asyncio
import random

import msgspec
import pytest

from bareboat.base.clock import LoopClock
from bareboat.contracts.errors import Exhausted
from bareboat.contracts.store import Compacted
from bareboat.store.broadcast import SlowSubscriber
from bareboat.store.entry import head
from bareboat.store.errors import CompareFailed, StoreFailed
from bareboat.store.log import ENOUGH, NO_CHANGE, PATIENCE, PATIENT, QUIET_TURNS, Log
from bareboat.store.memory import MemoryStore

KEY = "core/configmaps/ns/a"


pytestmark = pytest.mark.virtual_time


def heads(resource):
    return head("ConfigMap", "v1")


def stored(name, **data):
    return msgspec.json.encode({"metadata": {"name": name}, "data": data})


@pytest.fixture
async def log():
    log = Log(MemoryStore(), LoopClock(), heads, window=50)
    await log.start()
    yield log
    await log.stop()


async def test_what_is_served_carries_kind_version_and_revision(log):
    entry = await log.write(KEY, stored("a", x="1"), expect=0)
    assert msgspec.json.decode(entry.data) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1", "name": "a"},
        "data": {"x": "1"},
    }
    assert log.get(KEY) is entry


async def test_a_write_with_a_stale_revision_fails_and_says_what_is_there(log):
    first = await log.write(KEY, stored("a"), expect=0)
    second = await log.write(KEY, stored("a", x="2"), expect=first.revision)
    for stale in (0, first.revision):
        with pytest.raises(CompareFailed) as caught:
            await log.write(KEY, stored("a"), expect=stale)
        assert caught.value.current is second
    with pytest.raises(CompareFailed):
        await log.write("core/configmaps/ns/none", None)


async def test_of_many_racing_writers_exactly_one_wins_each_revision(log):
    await log.write(KEY, stored("a", n="0"), expect=0)

    async def race():
        try:
            return await log.write(KEY, stored("a"), expect=1)
        except CompareFailed:
            return None

    won = [e for e in await asyncio.gather(*(race() for _ in range(20))) if e]
    assert len(won) == 1


async def test_updates_build_on_writes_that_are_under_way(log):
    await log.write(KEY, stored("a", n="0"), expect=0)

    def add_one(current):
        n = int(msgspec.json.decode(current.data)["data"]["n"])
        return stored("a", n=str(n + 1))

    await asyncio.gather(*(log.update(KEY, add_one) for _ in range(30)))
    assert msgspec.json.decode(log.get(KEY).data)["data"]["n"] == "30"
    before = log.head
    await log.update(KEY, lambda current: NO_CHANGE)
    assert log.head == before


async def test_a_subscriber_sees_every_change_once_in_order_whenever_it_comes(log):
    for i in range(20):
        await log.write(f"core/configmaps/ns/c{i % 3}", stored("c"))
    for after in (0, 5, 19, 20):
        subscription = await log.subscribe("core/configmaps/", after)
        writers = [asyncio.ensure_future(log.write(f"core/configmaps/other/c{i}", stored("c"))) for i in range(5)]
        await asyncio.gather(*writers)
        seen = []
        while not seen or seen[-1] < log.head:
            seen += [change.revision for change in await subscription.next_batch()]
        assert seen == list(range(after + 1, log.head + 1))
        subscription.close()


async def test_history_beyond_the_window_comes_from_the_store(log):
    for i in range(200):
        await log.write(f"core/configmaps/ns/c{i % 7}", stored("c"))
    subscription = await log.subscribe("core/configmaps/ns/", 10)
    assert [c.revision for c in await subscription.next_batch()] == list(range(11, 201))


async def test_one_namespace_or_one_key_can_be_watched(log):
    namespace = await log.subscribe("core/configmaps/ns/", 0)
    single = await log.subscribe(KEY, 0)
    for key in (KEY, "core/configmaps/other/a", "core/configmaps/ns/b", "core/secrets/ns/a"):
        await log.write(key, stored("a"))
    assert [c.key for c in await namespace.next_batch()] == [KEY, "core/configmaps/ns/b"]
    assert [c.key for c in await single.next_batch()] == [KEY]


async def test_a_delete_carries_the_last_state_with_the_revision_of_the_delete(log):
    subscription = await log.subscribe("core/configmaps/", 0)
    await log.write(KEY, stored("a", x="1"))
    await log.write(KEY, None)
    deleted = [c for c in await subscription.next_batch() if c.deleted]
    assert log.get(KEY) is None
    assert msgspec.json.decode(deleted[0].entry.data)["metadata"]["resourceVersion"] == "2"
    assert deleted[0].previous.revision == 1


async def test_a_slow_subscriber_is_closed(log):
    slow = await log.subscribe("core/configmaps/", 0, capacity=3)
    for i in range(5):
        await log.write(f"core/configmaps/ns/c{i}", stored("c"))
    with pytest.raises(SlowSubscriber):
        await slow.next_batch()
    assert log.subscribers == 0


async def test_pages_of_one_revision_stay_consistent_while_writes_go_on(log):
    for name in "abc":
        await log.write(f"core/configmaps/ns/{name}", stored(name, v="old"))
    at = log.head
    await log.write("core/configmaps/ns/b", None)
    await log.write("core/configmaps/ns/d", stored("d"))
    await log.write("core/configmaps/ns/a", stored("a", v="new"))
    page = await log.snapshot("core/configmaps/", at)
    assert [e.key[-1] for e in page] == ["a", "b", "c"]
    assert b"old" in page[0].data
    for i in range(100):
        await log.write(f"core/configmaps/ns/x{i}", stored("x"))
    assert [e.data for e in await log.snapshot("core/configmaps/", at)] == [e.data for e in page]


class BrokenStore(MemoryStore):
    broken = False

    async def append(self, rows):
        await asyncio.sleep(0.01)
        if self.broken:
            raise Exhausted("no space left")
        await super().append(rows)


async def test_a_failed_batch_drops_everything_built_on_it_and_tells_everyone():
    store = BrokenStore()
    log = Log(store, LoopClock(), heads)
    await log.start()
    first = await log.write(KEY, stored("a"))
    store.broken = True
    writes = [asyncio.ensure_future(log.write(KEY, stored("a", x="2"), expect=first.revision))]
    await asyncio.sleep(0)
    writes.append(asyncio.ensure_future(log.update(KEY, lambda current: stored("a", x="3"))))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(r, StoreFailed) for r in results)
    assert log.get(KEY) is first
    assert log.head == 1
    store.broken = False
    assert (await log.write(KEY, stored("a", x="4"), expect=first.revision)).revision == 2
    await log.stop()


async def test_what_is_decided_on_writes_under_way_waits_for_them():
    store = BrokenStore()
    log = Log(store, LoopClock(), heads)
    await log.start()
    await log.confirmed()
    writing = asyncio.ensure_future(log.write(KEY, stored("a")))
    await asyncio.sleep(0)
    assert log.newest(KEY) is not None
    writing.cancel()  # whoever wrote it need not wait
    await log.confirmed()
    assert log.get(KEY) is log.newest(KEY)
    store.broken = True
    with pytest.raises(StoreFailed):
        await asyncio.gather(log.write(KEY, stored("a", x="2")), confirmed_soon(log))
    with pytest.raises(StoreFailed):
        await asyncio.gather(confirmed_soon(log), log.write(KEY, stored("a", x="2")))
    await log.confirmed()
    await log.stop()


async def confirmed_soon(log):
    await asyncio.sleep(0)
    await log.confirmed()


async def test_a_cancelled_caller_does_not_undo_its_write(log):
    task = asyncio.ensure_future(log.write(KEY, stored("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await log.write("core/configmaps/ns/b", stored("b"))
    assert log.get(KEY) is not None


async def test_expired_keys_are_deleted_also_after_a_restart():
    store, clock = MemoryStore(), LoopClock()
    log = Log(store, clock, heads)
    await log.start()
    await log.write("core/events/ns/e", stored("e"), expires_at=clock.now().timestamp() + 3600)
    await log.stop()
    log = Log(store, clock, heads)
    await log.start()
    await asyncio.sleep(3000)
    assert log.get("core/events/ns/e") is not None
    await asyncio.sleep(700)
    assert log.get("core/events/ns/e") is None
    await log.stop()


async def test_old_history_is_compacted_and_asking_for_it_says_so(monkeypatch):
    monkeypatch.setattr("bareboat.store.housekeeping.KEEP_REVISIONS", 20)
    log = Log(MemoryStore(), LoopClock(), heads, window=10)
    await log.start()
    for _ in range(100):
        await log.write(KEY, stored("a"))
    await asyncio.sleep(600)
    assert log.compacted == 80
    with pytest.raises(Compacted):
        await log.subscribe("core/configmaps/", 50)
    with pytest.raises(Compacted):
        await log.snapshot("core/configmaps/", 50)
    assert len(await (await log.subscribe("core/configmaps/", 85)).next_batch()) == 15
    await log.stop()


async def test_lists_of_five_minutes_ago_cannot_go_on_though_watches_can():
    log = Log(MemoryStore(), LoopClock(), heads)
    await log.start()
    for _ in range(3):
        await log.write(KEY, stored("a"))
        await asyncio.sleep(100)
    begun = log.head - 2
    assert await log.page("core/configmaps/", begun, "", 10)
    await asyncio.sleep(200)
    with pytest.raises(Compacted):
        await log.page("core/configmaps/", begun, "", 10)
    assert len(await (await log.subscribe("core/configmaps/", begun)).next_batch()) == 2
    await log.stop()


async def test_taps_hear_every_change_before_the_writer_does(log):
    heard = []
    log.tap("core/configmaps/", lambda change: heard.append(change.revision))
    entry = await log.write(KEY, stored("a"))
    assert heard == [entry.revision]


async def test_after_a_failure_the_log_asks_by_itself_whether_the_store_takes_writes_again(log, monkeypatch):
    async def full(rows):
        raise Exhausted("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(log.store, "append", full)
        with pytest.raises(StoreFailed, match="no space left"):
            await log.write(KEY, stored("a"), expect=0)
        await asyncio.sleep(30)
        assert log.fault == "no space left"
    await asyncio.sleep(11)
    assert log.fault == ""


async def test_a_bug_in_a_driver_fails_its_batch_and_not_the_log(log, monkeypatch):
    async def bug(rows):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(log.store, "append", bug)
        with pytest.raises(StoreFailed, match="a bug"):
            await log.write(KEY, stored("a"), expect=0)
    assert (await log.write(KEY, stored("a"), expect=0)).revision == 1


async def test_a_page_is_a_part_of_the_snapshot_of_its_revision(log):
    chance = random.Random(5)
    for step in range(120):
        space, name = chance.choice(["a", "a-b", "b"]), f"n{chance.randrange(12)}"
        key = f"core/configmaps/{space}/{name}"
        await log.write(key, None if log.get(key) and chance.random() < 0.4 else stored(name, step=str(step)))
    for revision in range(log.head - 60, log.head + 1):
        whole = await log.snapshot("core/configmaps/", revision)
        assert [e.key for e in whole] == sorted(e.key for e in whole)
        start, limit = chance.choice(["", *(e.key for e in whole)]), chance.choice([1, 5, 100])
        rest = [e.data for e in whole if e.key > start]
        page, more = await log.page("core/configmaps/", revision, start, limit)
        assert ([e.data for e in page], more) == (rest[:limit], max(0, len(rest) - limit))


class Batches(MemoryStore):
    """Remembers how many rows came in each commit."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    async def append(self, rows):
        self.sizes.append(len(rows))
        await super().append(rows)


@pytest.fixture
async def batches():
    store = Batches()
    log = Log(store, LoopClock(), heads)
    await log.start()
    yield log, store.sizes
    await log.stop()


async def test_writes_that_come_in_turns_of_the_loop_right_after_each_other_share_a_commit(batches):
    log, sizes = batches

    async def later(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        await log.write(f"core/configmaps/ns/{turns}", stored(str(turns)), expect=0)

    await asyncio.gather(*(later(turns) for turns in range(20)))
    assert sizes == [20]


async def test_a_write_that_is_alone_is_committed_after_a_few_turns_of_the_loop(batches):
    log, sizes = batches
    asked = asyncio.ensure_future(log.write(KEY, stored("a"), expect=0))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns <= QUIET_TURNS + 6
    assert sizes == [1]


async def test_a_batch_that_is_large_enough_waits_for_nothing_more(batches):
    log, sizes = batches

    async def trickle():
        for number in range(4 * ENOUGH):
            writes.append(asyncio.ensure_future(log.write(f"core/configmaps/ns/{number}", stored(str(number)), expect=0)))
            await asyncio.sleep(0)

    writes = []
    await trickle()
    await asyncio.gather(*writes)
    assert sizes[0] in (ENOUGH, ENOUGH + 1)
    assert len(sizes) >= 3


async def test_renewals_of_node_leases_wait_a_little_for_each_other(batches):
    log, sizes = batches
    keys = [f"{PATIENT}n{number}" for number in range(4)]
    for key in keys:
        await log.write(key, stored("n"), expect=0)
    assert sizes == [1, 1, 1, 1]
    sizes.clear()
    began = asyncio.get_running_loop().time()

    async def renew(key, after):
        await asyncio.sleep(after)
        await log.write(key, stored("n", renewed="now"))

    await asyncio.gather(*(renew(key, number * PATIENCE / 5) for number, key in enumerate(keys)))
    assert sizes == [4]
    assert asyncio.get_running_loop().time() - began == pytest.approx(PATIENCE)


async def test_whatever_else_is_written_takes_waiting_renewals_with_it_at_once(batches):
    log, sizes = batches
    key = f"{PATIENT}n"
    await log.write(key, stored("n"), expect=0)
    sizes.clear()
    began = asyncio.get_running_loop().time()
    renewed = asyncio.ensure_future(log.write(key, stored("n", renewed="now")))
    await asyncio.sleep(0)
    await log.write(KEY, stored("a"), expect=0)
    assert renewed.done()
    assert sizes == [2]
    await log.write(key, None)
    assert asyncio.get_running_loop().time() == began
    assert sizes == [2, 1]
