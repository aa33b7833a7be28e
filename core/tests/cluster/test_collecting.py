"""Python's collector looks at few objects at a time, and what lives long is set aside."""

import asyncio
import gc
import weakref

import pytest

from bareboat.base.clock import LoopClock
from bareboat.cluster import collecting
from bareboat.cluster.collecting import Collecting


class Node:
    """One in a cycle with itself."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def collector():
    found = Collecting(LoopClock())
    yield found
    found.stop()
    gc.unfreeze()


@pytest.fixture
def looks():
    """How many objects each look had before it."""
    sizes = []

    def note(phase, _about):
        if phase == "start":
            sizes.append(sum(len(gc.get_objects(generation)) for generation in range(3)))

    gc.callbacks.append(note)
    yield sizes
    gc.callbacks.remove(note)


def test_nothing_is_looked_for_while_a_server_starts(collector):
    with collector.starting():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def test_it_is_as_before_when_a_start_fails(collector):
    before = gc.get_threshold()
    with pytest.raises(OSError, match="port"), collector.starting():
        raise OSError("the port is taken")
    assert gc.isenabled()
    assert gc.get_threshold() == before


def test_once_it_has_stopped_everything_is_as_the_process_had_it():
    before = gc.get_threshold()
    gc.set_threshold(1234, 5, 6)
    try:
        of_its_own = Collecting(LoopClock())
        with of_its_own.starting():
            pass
        assert gc.get_threshold() != (1234, 5, 6)
        of_its_own.stop()
        assert gc.get_threshold() == (1234, 5, 6)
    finally:
        gc.set_threshold(*before)


def test_however_many_objects_there_are_few_are_looked_at(collector, looks):
    with collector.starting():
        pass
    looks.clear()
    kept = [[number] for number in range(200_000)]
    assert len(looks) > 10
    assert max(looks) < 2 * collecting.NEW
    assert len(kept) == 200_000


def test_young_garbage_in_cycles_is_found(collector):
    with collector.starting():
        pass
    lost = weakref.ref(Node())
    kept = [[number] for number in range(20_000)]
    assert lost() is None
    assert kept


def test_what_was_set_aside_is_found_by_a_look_at_everything(collector):
    with collector.starting():
        old = Node()
    lost = weakref.ref(old)
    del old
    gc.collect()
    assert lost() is not None, "it was set aside"
    assert collector.everything() > 0
    assert lost() is None


@pytest.mark.virtual_time
@pytest.mark.parametrize(("resting", "after"), [(1.0, collecting.SELDOM), (-1.0, collecting.AT_LAST)])
async def test_everything_is_looked_at_when_the_loop_rests_and_once_a_day_if_it_never_does(collector, monkeypatch, resting, after):
    monkeypatch.setattr(collecting, "RESTING", resting)
    looked = []
    monkeypatch.setattr(collector, "everything", lambda: looked.append(asyncio.get_running_loop().time()))
    collector._lots = 1
    running = asyncio.ensure_future(collector.run())
    await asyncio.sleep(after - 5)
    assert not looked
    await asyncio.sleep(2 * collecting.TICK)
    assert len(looked) == 1
    running.cancel()


@pytest.mark.virtual_time
async def test_a_server_that_does_nothing_is_left_alone(collector, monkeypatch):
    monkeypatch.setattr(collector, "everything", lambda: pytest.fail("nothing has come since"))
    running = asyncio.ensure_future(collector.run())
    await asyncio.sleep(2 * collecting.SELDOM)
    running.cancel()
