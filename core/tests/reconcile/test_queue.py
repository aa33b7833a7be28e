"""A queue of keys: each once, never twice at a time, and nobody is held up by those who work on many."""

import asyncio

import pytest
import uvloop

from bareboat.reconcile.queue import WorkQueue


@pytest.mark.parametrize(("in_a_row", "turns"), [(1, 12), (4, 3)])
async def test_others_have_their_turn_after_so_many_keys(in_a_row, turns):
    queue = WorkQueue(in_a_row=in_a_row)
    for number in range(12):
        queue.add(str(number))
    seen = 0

    async def others():
        nonlocal seen
        while True:
            seen += 1
            await asyncio.sleep(0)

    running = asyncio.ensure_future(others())
    for _ in range(12):
        queue.done(await queue.get())
    assert seen == turns
    running.cancel()


async def test_a_key_that_is_added_while_it_is_handled_comes_again_afterwards():
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.0004])
def test_a_wait_that_is_next_to_nothing_can_be_asked_for_twice(seconds):
    async def asked():
        queue = WorkQueue()
        queue.add_after("a", seconds)
        queue.add_after("a", seconds)
        return await asyncio.wait_for(queue.get(), 5)

    loop = uvloop.new_event_loop()
    assert loop.run_until_complete(asked()) == "a"
    loop.close()
