"""Pods that nobody else removes."""

import asyncio

import pytest

from bareboat.controllers.podgc import PodGarbageCollector
from bareboat.models import core_v1

pytestmark = pytest.mark.virtual_time


class _Few(PodGarbageCollector):
    threshold = 2


@pytest.fixture
async def world(bench):
    await bench.start(_Few)
    await bench.create(core_v1.Node, {"metadata": {"name": "n1"}})
    return bench


async def pod(world, name, **meta):
    await world.create(core_v1.Pod, {"metadata": {"name": name, **meta}, "spec": {"containers": [{"name": "c", "image": "host"}]}})


async def test_the_oldest_ended_pods_beyond_the_threshold_go(world):
    world.agent.script = lambda pod: 0
    for name in ("a", "b", "c", "d"):
        await pod(world, name)
        await asyncio.sleep(1)
    await asyncio.sleep(30)
    assert await world.pod_names() == ["c", "d"]


async def test_pods_of_a_node_that_is_gone_fail_and_go(world):
    await pod(world, "a", finalizers=["example.com/hold"])
    await asyncio.sleep(5)
    await world.client.delete(core_v1.Node, "n1")
    await asyncio.sleep(30)
    assert await world.pod_names() == ["a"]
    await asyncio.sleep(40)
    found = await world.get(core_v1.Pod, "a")
    assert found.metadata.deletionTimestamp
    assert found.status.phase == "Failed"
    assert [c.reason for c in found.status.conditions if c.type == "DisruptionTarget"] == ["DeletionByPodGC"]


async def test_an_unscheduled_pod_on_its_way_out_fails(world):
    world.agent.node = ""
    world.agent.script = lambda pod: "hold"
    await pod(world, "a", finalizers=["example.com/hold"])
    await world.client.delete(core_v1.Pod, "a", "default")
    await asyncio.sleep(25)
    assert (await world.get(core_v1.Pod, "a")).status.phase == "Failed"
