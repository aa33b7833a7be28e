"""Pods leave tainted nodes when they have to, and stay when the taint goes in time."""

import asyncio

import pytest

from bareboat.controllers.nodes import NodeLifecycleController
from bareboat.models import core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(NodeLifecycleController)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = await bench.create(core_v1.Node, {"metadata": {"name": "n1"}, "status": ready})
    node.status.conditions = [core_v1.NodeCondition(type="Ready", status="True")]
    await bench.client.update(node, subresource="status")
    for name, seconds in (("never", None), ("soon", 20), ("always", 0)):
        toleration = {"key": "k", "operator": "Exists", "effect": "NoExecute", **({"tolerationSeconds": seconds} if seconds else {})}
        spec = {"containers": [{"name": "c", "image": "host"}], "tolerations": [] if seconds is None else [toleration]}
        await bench.create(core_v1.Pod, {"metadata": {"name": name}, "spec": spec})
    await asyncio.sleep(3)
    return bench


async def taint(world, *taints):
    node = await world.get(core_v1.Node, "n1")
    node.spec.taints = [t for t in node.spec.taints if t.key != "k"] + list(taints)
    await world.client.update(node)


NO_EXECUTE = core_v1.Taint(key="k", value="v", effect="NoExecute")


async def test_pods_go_at_once_later_or_never(world):
    await taint(world, NO_EXECUTE)
    await asyncio.sleep(8)
    assert await world.pod_names() == ["always", "soon"]
    await asyncio.sleep(20)
    assert await world.pod_names() == ["always"]


async def test_a_taint_that_goes_in_time_moves_nobody(world):
    await taint(world, NO_EXECUTE)
    await asyncio.sleep(10)
    await taint(world)
    await asyncio.sleep(30)
    assert await world.pod_names() == ["always", "soon"]


async def test_an_evicted_pod_says_why(world):
    world.agent.interval = 1000
    await asyncio.sleep(2)
    await taint(world, NO_EXECUTE)
    await asyncio.sleep(3)
    found = await world.get(core_v1.Pod, "never")
    assert [c.reason for c in found.status.conditions if c.type == "DisruptionTarget"] == ["DeletionByTaintManager"]
