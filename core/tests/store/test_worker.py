"""The store's thread: one call after the other, and every asker hears of its own."""

import asyncio
import threading
import time

import pytest

from bareboat.store.worker import Worker


@pytest.fixture
def worker():
    worker = Worker("store-test")
    yield worker
    worker.close()


async def test_calls_are_made_in_the_order_in_which_they_were_asked_for(worker):
    made = []
    await asyncio.gather(*(worker.run(lambda n=n: made.append(n)) for n in range(50)))
    assert made == list(range(50))


async def test_all_calls_are_made_on_one_other_thread(worker):
    first, second = await worker.run(threading.current_thread), await worker.run(threading.current_thread)
    assert first is second
    assert first is not threading.current_thread()
    assert first.name == "store-test"


async def test_who_asks_gets_the_result_or_the_error(worker):
    assert await worker.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 8) == 8


async def test_the_loop_goes_on_while_a_call_takes_long(worker):
    going = threading.Event()
    asked = asyncio.ensure_future(worker.run(lambda: going.wait(10)))
    await asyncio.sleep(0.01)
    assert not asked.done()
    going.set()
    assert await asked


async def test_a_call_that_nobody_waits_for_any_more_is_made_all_the_same(worker):
    going, made = threading.Event(), []
    asked = asyncio.ensure_future(worker.run(lambda: (going.wait(10), made.append("slow"))))
    await asyncio.sleep(0)
    asked.cancel()
    going.set()
    assert await worker.run(lambda: list(made)) == ["slow"]


async def test_what_is_put_behind_comes_before_what_is_asked_next_and_its_failure_is_logged(worker, caplog):
    made = []
    worker.behind(lambda: made.append("behind"))
    worker.behind(lambda: 1 // 0)
    assert await worker.run(lambda: list(made)) == ["behind"]
    assert "ZeroDivisionError" in caplog.text


async def test_closing_waits_for_what_was_asked():
    worker, made = Worker("store-test"), []
    worker.behind(lambda: (time.sleep(0.02), made.append("done")))
    worker.close()
    assert made == ["done"]


def test_a_loop_that_is_gone_does_not_stop_the_thread(worker):
    going = threading.Event()

    async def ask_and_leave():
        asked = asyncio.ensure_future(worker.run(lambda: going.wait(10)))
        await asyncio.sleep(0)
        asked.cancel()

    asyncio.run(ask_and_leave())
    going.set()
    assert asyncio.run(worker.run(lambda: 9)) == 9
