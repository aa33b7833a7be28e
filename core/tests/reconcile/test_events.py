"""Events for people: repeated ones are counted, similar ones combined, and no object is talked about without end."""

import asyncio

import pytest

from bareboat.base.ids import SeededIds
from bareboat.models import core_v1
from bareboat.reconcile.events import EventRecorder

pytestmark = pytest.mark.virtual_time
SET = core_v1.ObjectReference(kind="ReplicaSet", apiVersion="apps/v1", namespace="default", name="web", uid="1")


class Source:
    def __init__(self, kernel, *, limited=True):
        self.client = kernel.client
        self.recorder = EventRecorder(kernel.client, "test", kernel.clock, SeededIds(1), limited=limited)
        self.task = asyncio.ensure_future(self.recorder.run())

    async def say(self, *messages, about=SET):
        for message in messages:
            self.recorder.event(about, "Normal", "SuccessfulCreate", message)
        await asyncio.sleep(1)

    async def written(self):
        return {event.message: event.count for event in (await self.client.list(core_v1.Event, "default")).items}

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def source(kernel):
    source = Source(kernel)
    yield source
    await source.stop()


async def test_a_repeated_event_is_counted(source):
    await source.say("made a", "made a", "made b")
    assert await source.written() == {"made a": 2, "made b": 1}


async def test_similar_events_are_combined_from_the_tenth_on(source):
    await source.say(*(f"made {n}" for n in range(12)))
    written = await source.written()
    assert {text: count for text, count in written.items() if text.startswith("made")} == {f"made {n}": 1 for n in range(9)}
    assert written["(combined from similar events): made 11"] == 3


async def test_about_one_object_only_so_much_is_written(source):
    await source.say(*(f"made {n}" for n in range(100)))
    written = await source.written()
    assert len(written) == 10
    assert sum(written.values()) == 25
    other = core_v1.ObjectReference(kind="ReplicaSet", apiVersion="apps/v1", namespace="default", name="other", uid="2")
    await source.say("made one", about=other)
    assert (await source.written())["made one"] == 1


async def test_five_minutes_later_there_is_room_for_one_more_and_the_count_knows_of_all(source):
    await source.say(*(f"made {n}" for n in range(100)))
    await asyncio.sleep(300)
    await source.say("made 100", "made 101")
    written = await source.written()
    assert written["(combined from similar events): made 100"] == 92
    assert len(written) == 10


async def test_ten_quiet_minutes_begin_anew(source):
    await source.say(*(f"made {n}" for n in range(12)))
    await asyncio.sleep(601)
    await source.say("made 50")
    assert (await source.written())["made 50"] == 1


async def test_the_scheduler_is_not_limited(kernel):
    source = Source(kernel, limited=False)
    await source.say(*(f"made {n}" for n in range(100)))
    assert await source.written() == {f"made {n}": 1 for n in range(100)}
    await source.stop()


async def test_an_event_that_somebody_deleted_is_written_again(source):
    await source.say("made a")
    (event,) = (await source.client.list(core_v1.Event, "default")).items
    await source.client.delete(core_v1.Event, event.metadata.name, "default")
    await source.say("made a")
    assert await source.written() == {"made a": 1}
