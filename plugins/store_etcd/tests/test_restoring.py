"""A restore into etcd goes through many transactions, and still all of it happens or nothing."""

import asyncio
import signal
import sys

import pytest

from bareboat.contracts.errors import Conflict
from bareboat.contracts.store import Compacted
from bareboat.testing.store_suite import row
from bareboat_store_etcd.gateway import Unanswered
from bareboat_store_etcd.options import EtcdOptions
from bareboat_store_etcd.plugin import EtcdStore

A, B = "core/pods/a/x", "core/pods/a/y"

#: A restore of 600 rows that stops when 500 are written, until it is killed.
KILLED = """
import asyncio, sys
from bareboat.testing.store_suite import row
from bareboat_store_etcd.options import EtcdOptions
from bareboat_store_etcd.plugin import EtcdStore

async def rows():
    yield [row(i, f"core/pods/a/r{i}") for i in range(1001, 1501)]
    print("written", flush=True)
    await asyncio.sleep(60)

async def main():
    store = EtcdStore(EtcdOptions(endpoints=[sys.argv[1]], prefix=sys.argv[2]), None)
    await store.open()
    await store.restore(1000, rows())

asyncio.run(main())
"""


@pytest.fixture
def opened(etcd, request):
    async def make(**others):
        store = EtcdStore(EtcdOptions(endpoints=[etcd.url], prefix=f"/{request.node.name}", **others), None)
        await store.open()
        return store

    return make


async def given(*batches):
    for batch in batches:
        yield batch


async def live(store):
    return [(r.key, r.revision) async for rows in store.load() for r in rows]


async def keys_of(store):
    """What etcd has below the prefix, but for the writers."""
    found = await store.database._gateway.range(store._options.prefix, store._options.prefix + "0")
    return [pair.key.removeprefix(store._options.prefix) for pair in found.pairs if "/writers/" not in pair.key]


async def test_a_restore_that_is_killed_leaves_the_store_as_it_was_and_can_be_done_again(etcd, opened):
    store = await opened()
    await store.append([row(1, A), row(2, B)])
    words = [sys.executable, "-c", KILLED, etcd.url, store._options.prefix]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert await process.stdout.readline() == b"written\n"
    await _is_as_it_was(store)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await _is_as_it_was(store)
    await store.close()
    store = await opened()
    await _is_as_it_was(store)
    assert "/restore" not in await keys_of(store), "what was left over goes with the next open"
    assert len(await keys_of(store)) == 5
    await store.restore(2000, given([row(2001, A)]))
    assert await live(store) == [(A, 2001)]
    await store.close()


async def _is_as_it_was(store):
    assert (await store.head(), await store.compacted()) == (2, 0)
    assert await live(store) == [(A, 1), (B, 2)]
    assert [r.revision for r in await store.since(0, 10)] == [1, 2]
    assert [r.key for r in await store.at("core/pods/a/", 5000)] == [A, B]
    assert (await store.stats()).rows == 2
    assert await store.check() == []


async def test_a_server_that_runs_is_told_to_read_everything_anew(opened):
    store, server = await opened(), await opened()
    await server.append([row(1, A)])

    async def rows():
        yield [row(101, A)]
        await server.append([row(2, B)])
        yield [row(102, "core/pods/b/z")]

    await store.restore(100, rows())
    assert await live(server) == [(A, 101), ("core/pods/b/z", 102)]
    with pytest.raises(Compacted):
        await server.since(2, 10)
    with pytest.raises(Compacted):
        await server.extend([row(3, B)], 2)
    assert await server.extend([row(103, B)], 102) == 0
    await store.close()
    await server.close()


async def test_of_two_restores_the_later_one_wins_and_the_other_is_told(opened):
    first, second = await opened(), await opened()

    async def rows():
        yield [row(101, A)]
        await second.restore(200, given([row(201, B)]))
        yield [row(102, A)]

    with pytest.raises(Conflict, match="another restore"):
        await first.restore(100, rows())
    assert await live(first) == [(B, 201)]
    assert "/restore" not in await keys_of(first)
    await first.close()
    await second.close()


async def test_a_server_that_opens_the_store_ends_a_restore(opened):
    store = await opened()

    async def rows():
        yield [row(101, A)]
        await (await opened()).close()
        yield [row(102, A)]

    with pytest.raises(Conflict, match="stop the servers"):
        await store.restore(100, rows())
    assert (await store.head(), await live(store)) == (0, [])
    await store.close()


async def test_revisions_that_do_not_move_past_the_newest_are_refused(opened):
    store = await opened()
    await store.append([row(1, A), row(2, B)])
    with pytest.raises(Conflict, match="newest, 2"):
        await store.restore(1, given([row(2, A)]))
    assert await live(store) == [(A, 1), (B, 2)]
    await store.close()


@pytest.mark.parametrize("happened", [True, False])
async def test_a_last_step_that_nobody_answered_is_asked_about(opened, monkeypatch, happened):
    store = await opened()
    gateway = store.database._gateway
    txn = gateway.txn

    async def lost(compare, success, failure=()):
        if len(success) == 4:
            monkeypatch.setattr(gateway, "txn", txn)
            if happened:
                await txn(compare, success, failure)
            raise Unanswered("nobody answered")
        return await txn(compare, success, failure)

    monkeypatch.setattr(gateway, "txn", lost)
    await store.restore(100, given([row(101, A)]))
    assert await live(store) == [(A, 101)]
    assert await store.compacted() == 100
    await store.close()


async def test_large_rows_are_spread_over_transactions(opened):
    store = await opened()
    rows = [row(100 + i, f"core/pods/a/p{i}", value=b"x" * 20_000) for i in range(1, 401)]
    await store.restore(100, given(rows[:250], rows[250:]))
    assert await store.head() == 500
    assert len(await live(store)) == 400
    assert await store.check() == []
    await store.close()
