"""Who waits for changes is woken in time, on the loop that the server runs on."""

import asyncio

import pytest
import uvloop

from bareboat.store.broadcast import Broadcast


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def loop(request):
    loop = request.param()
    yield loop
    loop.close()


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.0004, 0.0012, 0.01])
def test_one_that_waits_again_and_again_is_woken_each_time(loop, seconds):
    async def waits():
        subscription = Broadcast().subscribe("core/pods/")
        for _ in range(20):
            subscription.take()
            await subscription.woken(seconds)
        subscription.close()

    loop.run_until_complete(asyncio.wait_for(waits(), 5))


def test_a_shorter_wait_is_not_held_up_by_a_longer_one(loop):
    async def waits():
        subscription = Broadcast().subscribe("core/pods/")
        loop.call_soon(subscription.wake)
        await subscription.woken(60)
        subscription.take()
        await subscription.woken(0.01)
        subscription.close()

    loop.run_until_complete(asyncio.wait_for(waits(), 5))
