"""Waiting for changes: woken by one, or when the time is over, on any event loop."""

import asyncio
import time

import pytest
import uvloop

from bareboat.store.broadcast import Broadcast
from bareboat.store.entry import Change, Entry

KEY = "core/pods/default/a"


def change(revision):
    return Change(KEY, revision, False, Entry(KEY, revision, revision, b"{}"), None)


def on(loops, coroutine):
    """What the coroutine gives on a loop of that sort."""
    with asyncio.Runner(loop_factory=loops) as runner:
        return runner.run(asyncio.wait_for(coroutine, 5))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def loops(request):
    return request.param


def test_a_wait_ends_when_its_time_is_over_however_short_it_is(loops):
    async def waits():
        subscription = Broadcast().subscribe("core/pods/")
        for seconds in (0.0, 0.0004, 0.0, 0.03, 0.0006, 0.0):
            subscription.take()
            await subscription.woken(seconds)
        return subscription.take()

    assert on(loops, waits()) == []


def test_a_shorter_wait_after_a_longer_one_ends_in_time(loops):
    async def waits():
        broadcast = Broadcast()
        subscription = broadcast.subscribe("core/pods/")
        asyncio.get_running_loop().call_later(0.01, broadcast.publish, [change(1)])
        await subscription.woken(60)
        assert [c.revision for c in subscription.take()] == [1]
        began = time.monotonic()
        await subscription.woken(0.05)
        subscription.close()
        return time.monotonic() - began

    assert on(loops, waits()) < 1


def test_what_came_since_it_was_taken_from_is_not_waited_for(loops):
    async def waits():
        broadcast = Broadcast()
        subscription = broadcast.subscribe("core/pods/")
        broadcast.publish([change(1)])
        await subscription.woken(60)
        return [c.revision for c in subscription.take()]

    assert on(loops, waits()) == [1]
