"""Logs of several servers over one store: one history for all, lost races, fresh reads, a store that goes away."""

import asyncio

import msgspec
import pytest

from bareboat.base.clock import LoopClock
from bareboat.store.broadcast import SlowSubscriber
from bareboat.store.entry import head
from bareboat.store.errors import CompareFailed, Raced, StoreFailed
from bareboat.store.memory import MemoryStore
from bareboat.store.pending import PROVISIONAL
from bareboat.store.shared import SharedLog, StoreUncertain
from bareboat.testing.shared_store import Hub, HubStore

A, B, C = "core/configmaps/ns/a", "core/configmaps/ns/b", "core/configmaps/ns/c"

pytestmark = pytest.mark.virtual_time


def heads(resource):
    return head("ConfigMap", "v1")


def stored(name, **data):
    return msgspec.json.encode({"metadata": {"name": name}, "data": data})


def version(entry):
    return msgspec.json.decode(entry.data)["metadata"]["resourceVersion"]


@pytest.fixture
async def hub():
    return Hub()


@pytest.fixture
async def servers(hub):
    logs = [SharedLog(HubStore(hub), LoopClock(), heads, window=50) for _ in range(2)]
    for log in logs:
        await log.start()
    yield logs
    hub.down = False
    for log in logs:
        await log.stop()


async def test_a_write_on_one_server_is_read_on_the_other_at_once(servers, hub):
    one, two = servers
    hub.silent = True
    written = await one.write(A, stored("a"), expect=0)
    assert (written.revision, version(written)) == (1, "1")
    assert two.get(A) is None
    await two.fresh()
    assert two.get(A).data == written.data


async def test_fresh_reads_of_one_moment_ask_the_store_once(servers, hub):
    one, _ = servers
    asked = hub.heads
    await asyncio.gather(*(one.fresh() for _ in range(100)))
    assert hub.heads == asked + 1


async def test_every_server_tells_the_same_story_in_the_same_order(servers):
    one, two = servers
    watches = [await log.subscribe("core/configmaps/", 0) for log in servers]

    async def writes(log, name):
        for i in range(60):
            await log.update(f"core/configmaps/ns/{name}{i % 7}", lambda _, i=i: stored(name, i=str(i)))  # both write the same keys

    await asyncio.gather(*(writes(log, name) for log in servers for name in "xyz"))
    await asyncio.gather(one.fresh(), two.fresh())
    stories = [[(c.revision, c.key, c.entry.data) for c in watch.take()] for watch in watches]
    assert stories[0] == stories[1]
    assert [revision for revision, _, _ in stories[0]] == list(range(1, 361))


async def test_without_hints_others_are_seen_within_the_tick(servers, hub):
    one, two = servers
    hub.silent = True
    await one.write(A, stored("a"))
    await asyncio.sleep(1.1)
    assert two.get(A).revision == 1


async def test_of_two_servers_that_change_one_object_one_is_told(servers, hub):
    one, two = servers
    hub.silent = True
    first = await one.write(A, stored("a"), expect=0)
    await two.fresh()
    results = await asyncio.gather(
        one.write(A, stored("a", by="one"), expect=first.revision),
        two.write(A, stored("a", by="two"), expect=first.revision),
        two.write(B, stored("b"), expect=0),
        return_exceptions=True,
    )
    lost = [r for r in results if isinstance(r, CompareFailed)]
    assert len(lost) == 1
    assert lost[0].current.revision == 2
    assert results[2].revision == 3, "the innocent write of the same batch is committed"
    await one.fresh()
    assert one.get(A).data == two.get(A).data


async def test_what_is_decided_on_writes_under_way_waits_for_them_and_is_decided_again_if_they_are_overtaken(servers, hub):
    one, two = servers
    hub.silent = True

    async def confirmed_soon():
        await asyncio.sleep(0)
        assert two.newest(A) is not None
        await two.confirmed()
        return two.get(A)

    async def results(*under_way):
        return await asyncio.gather(*under_way, return_exceptions=True)

    _, seen = await results(two.write(A, stored("a"), expect=0), confirmed_soon())
    assert seen.revision == 1
    await one.fresh()
    first, second, again = await results(one.write(A, stored("a"), expect=1), two.write(A, stored("a"), expect=1), confirmed_soon())
    assert first.revision == 2
    assert isinstance(second, CompareFailed)
    assert isinstance(again, Raced)
    hub.down = True
    lost, told = await results(two.write(A, stored("a"), expect=2), confirmed_soon())
    assert isinstance(lost, StoreFailed)
    assert told is lost


async def test_writes_on_a_write_under_way_keep_their_chain_when_others_come_between(servers, hub):
    one, two = servers
    hub.silent = True
    await one.write(B, stored("b"))

    def count(entry):
        return stored("a", n=str(int(msgspec.json.decode(entry.data)["data"]["n"]) + 1 if entry else 0))

    entries = await asyncio.gather(*(two.update(A, count) for _ in range(5)))
    assert [e.revision for e in entries] == [2, 3, 4, 5, 6]
    assert {e.created for e in entries} == {2}
    rows = await hub.rows.since(1, 10)
    assert [(r.revision, r.previous, r.created) for r in rows] == [(2, 0, 2), (3, 2, 2), (4, 3, 2), (5, 4, 2), (6, 5, 2)]


async def test_a_key_deleted_and_made_again_in_one_batch_is_a_new_one(servers, hub):
    one, two = servers
    hub.silent = True
    await two.write(A, stored("a"))
    await one.write(B, stored("b"))
    await asyncio.gather(two.write(A, None), two.write(A, stored("a", again="1"), expect=0))
    assert [(r.revision, r.previous, r.created, r.deleted) for r in await hub.rows.since(2, 10)] == [(3, 1, 1, True), (4, 0, 4, False)]


async def test_a_provisional_revision_is_never_taken_for_a_real_one(servers):
    one, _ = servers
    under_way = asyncio.ensure_future(one.write(A, stored("a"), expect=0))
    await asyncio.sleep(0)
    seen = one.newest(A)
    assert seen.revision >= PROVISIONAL
    assert (await one.settled(seen)).revision == 1
    await under_way
    with pytest.raises(CompareFailed):
        await one.write(A, stored("a", x="1"), expect=seen.revision)
    with pytest.raises(Raced):
        await one.settled(seen)


async def test_a_guarded_write_is_decided_again_when_others_wrote_there(servers, hub):
    one, two = servers
    hub.silent = True
    await one.write(A, stored("a"))
    with pytest.raises(Raced):
        await two.write(B, stored("b"), guards=["core/configmaps/"])
    assert two.get(A).revision == 1
    assert (await two.write(B, stored("b"), guards=["core/configmaps/"])).revision == 2
    await one.write("core/pods/ns/p", stored("p"))
    assert (await two.write(C, stored("c"), guards=["core/configmaps/"])).revision == 4


async def test_a_server_without_its_store_refuses_writes_and_fresh_reads_and_recovers_by_itself(servers, hub):
    one, two = servers
    await one.write(A, stored("a"))
    await two.fresh()
    watch = await two.subscribe("core/configmaps/", two.head)
    hub.down = True
    for refused in (two.write(B, stored("b")), two.fresh(), two.write(B, stored("b"))):
        with pytest.raises(StoreFailed, match="hub is down"):
            await refused
    assert two.fault
    assert two.get(A).revision == 1, "reads of any state go on"
    hub.down = False
    await asyncio.sleep(1.5)
    assert two.fault == ""
    await two.write(B, stored("b"))
    assert [change.revision for change in await watch.next_batch()] == [2]


async def test_a_store_lost_without_a_write_is_noticed(servers, hub):
    hub.down = True
    await asyncio.sleep(1.1)
    assert [bool(log.fault) for log in servers] == [True, True]


async def test_a_write_without_an_answer_is_told_apart_from_a_refused_one_and_shows_later(servers, hub):
    one, _ = servers
    hub.lose_answers = 1
    with pytest.raises(StoreUncertain):
        await one.write(A, stored("a"))
    await asyncio.sleep(1.5)
    assert one.get(A).revision == 1
    assert one.newest(A) is one.get(A)


async def test_a_revision_seen_on_another_server_is_waited_for(servers, hub):
    one, two = servers
    hub.silent = True
    written = await one.write(A, stored("a"))
    await two.reach(written.revision)
    assert two.head == 1
    began = asyncio.get_running_loop().time()
    await two.reach(99)
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)


async def test_a_server_that_fell_behind_what_is_kept_starts_its_watches_anew_and_tells_its_own_caches(servers, hub):
    one, two = servers
    await one.write(A, stored("a"))
    await one.write(B, stored("b"))
    await two.fresh()
    watch, told = await two.subscribe("core/configmaps/", two.head), []
    two.tap("core/configmaps/", lambda change: told.append((change.key, change.deleted)))
    async with two._busy:  # it is stopped, say
        await one.write(A, None)
        await one.write(B, stored("b", x="1"))
        await one.write(C, stored("c"))
        await one.store.compact(5, 100)
    await two.fresh()
    assert sorted(told) == [(A, True), (B, False), (C, False)]
    assert two.get(A) is None
    assert two.get(B).data == one.get(B).data
    with pytest.raises(SlowSubscriber):
        await watch.next_batch()
    assert (await two.write(C, stored("c", x="1"), expect=5)).revision == 6


async def test_a_store_that_went_back_is_not_served_as_if_nothing_had_been(servers, hub):
    one, two = servers
    await one.write(A, stored("a"))
    await two.fresh()
    older, hub.rows = hub.rows, MemoryStore()
    with pytest.raises(StoreFailed, match="restored from an older copy"):
        await two.fresh()
    await asyncio.sleep(5)
    assert "restored from an older copy" in one.fault
    with pytest.raises(StoreFailed):
        await one.write(B, stored("b"))
    hub.rows = older
