"""Which pods are tried, when a refused one is tried again, and what is said meanwhile."""

import asyncio

import pytest

from bareboat.base.clock import LoopClock
from bareboat.models import core_v1
from bareboat.scheduler.queue import SchedulingQueue
from bareboat.scheduler.verdict import NODE, POD_GONE

pytestmark = pytest.mark.virtual_time


async def test_a_pod_without_any_node_waits_for_one(world):
    await world.start()
    await world.pod("p")
    assert await world.refused("p") == "no nodes available to schedule pods"
    await world.node("n1")
    assert await world.bound("p", seconds=3) == "n1"


async def test_every_shortage_of_a_node_is_named(world):
    await world.node("n1", cpu="1", memory="1Gi")
    await world.node("n2", cpu="8", memory="1Gi")
    await world.node("n3", pods="0")
    await world.start()
    await world.pod("p", requests={"cpu": "4", "memory": "4Gi"})
    assert (await world.refused("p")).startswith("0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu, 2 Insufficient memory.")


async def test_a_gated_pod_is_left_alone_until_its_gates_are_gone(world):
    await world.node("n1")
    await world.start()
    await world.pod("p", schedulingGates=[{"name": "example.com/wait"}])
    await asyncio.sleep(30)
    found = await world.get("p")
    assert not found.spec.nodeName
    assert [(c.type, c.reason) for c in found.status.conditions] == [("PodScheduled", "SchedulingGated")]
    await world.client.patch(core_v1.Pod, "p", {"spec": {"schedulingGates": None}}, "default")
    assert await world.bound("p") == "n1"


async def test_pods_of_other_schedulers_and_bound_ones_are_left_alone(world):
    await world.node("n1")
    await world.start()
    await world.pod("theirs", schedulerName="someone-else")
    await world.pod("direct", cpu="800m", nodeName="n1")
    await world.pod("ours", cpu="300m")
    assert "1 Insufficient cpu" in await world.refused("ours")  # what is bound past the scheduler counts
    assert (await world.placements())["theirs"] == ""


async def test_a_refused_pod_comes_back_when_something_relevant_changes(world):
    await world.node("n1")
    await world.start()
    await world.pod("first", cpu="1")
    await world.bound("first")
    await world.pod("second", cpu="1")
    await world.refused("second")
    await asyncio.sleep(20)
    node = await world.get("n1", core_v1.Node)
    node.status.conditions = [core_v1.NodeCondition(type="Ready", status="True")]
    await world.client.update(node, subresource="status")
    await asyncio.sleep(5)
    assert len(await world.events("FailedScheduling")) == 1  # a heartbeat is no reason
    await world.client.delete(core_v1.Pod, "first", "default", grace_seconds=0)
    assert await world.bound("second", seconds=3) == "n1"


async def test_a_change_of_what_the_pod_asks_for_brings_it_back(world):
    await world.node("n1", taints=[{"key": "k", "effect": "NoSchedule"}])
    await world.start()
    await world.pod("p")
    await world.refused("p")
    await world.client.patch(core_v1.Pod, "p", {"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}}, "default")
    assert await world.bound("p", seconds=3) == "n1"


async def test_more_important_pods_go_first():
    queue = SchedulingQueue(LoopClock())
    for key, priority in (("low", 0), ("high", 9), ("mid", 5), ("mid-later", 5)):
        queue.add(key, priority)
    assert [await queue.pop() for _ in range(4)] == ["high", "mid", "mid-later", "low"]


async def test_only_the_changes_that_may_help_wake_a_pod():
    queue = SchedulingQueue(LoopClock())
    queue.refuse("p", 0, frozenset({NODE}))
    queue.wake(POD_GONE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.pop(), 250)
    queue.wake(NODE)
    assert await queue.pop() == "p"


async def test_a_refused_pod_is_tried_after_five_minutes_in_any_case():
    queue, clock = SchedulingQueue(LoopClock()), LoopClock()
    queue.refuse("p", 0, frozenset({NODE}))
    began = clock.monotonic()
    assert await queue.pop() == "p"
    assert clock.monotonic() - began == pytest.approx(300)


async def test_many_woken_pods_serve_their_back_off():
    queue, clock = SchedulingQueue(LoopClock()), LoopClock()
    for number in range(40):
        queue.refuse(f"p{number}", 0)
    began = clock.monotonic()
    queue.wake(NODE)
    await queue.pop()
    assert clock.monotonic() - began == pytest.approx(1.0)
    for _ in range(39):
        await queue.pop()
    queue.refuse("p0", 0)
    queue.wake(NODE)
    assert await queue.pop() == "p0"  # one alone need not
    assert clock.monotonic() - began == pytest.approx(1.0)


async def test_back_off_doubles_up_to_ten_seconds():
    queue, clock = SchedulingQueue(LoopClock()), LoopClock()
    waits = []
    for _ in range(6):
        queue.fail("p", 0)
        began = clock.monotonic()
        await queue.pop()
        waits.append(clock.monotonic() - began)
    assert waits == pytest.approx([1, 2, 4, 8, 10, 10])
