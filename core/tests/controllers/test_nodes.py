"""Nodes: heard of by their lease, silent after forty seconds, tainted while not ready; ranges of addresses while there are some."""

import asyncio

import pytest

from bareboat.controllers.noderanges import NodeAddressController
from bareboat.controllers.nodes import UNREACHABLE, NodeLifecycleController
from bareboat.models import coordination_v1, core_v1

pytestmark = pytest.mark.virtual_time


async def node(bench, name="n1"):
    await bench.create(core_v1.Node, {"metadata": {"name": name}})
    await ready(bench, name)
    lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"holderIdentity": name, "renewTime": micro(bench)}}
    await bench.create(coordination_v1.Lease, lease)


async def ready(bench, name="n1", status="True"):
    condition = {"type": "Ready", "status": status, "reason": "Told", "lastHeartbeatTime": bench.now(), "lastTransitionTime": bench.now()}
    await bench.client.patch(core_v1.Node, name, {"status": {"conditions": [condition]}}, type="strategic", subresource="status")


async def beat(bench, seconds, name="n1"):
    for _ in range(seconds // 10):
        await asyncio.sleep(10)
        await bench.client.patch(coordination_v1.Lease, name, {"spec": {"renewTime": micro(bench)}}, "kube-node-lease")


def micro(bench):
    return bench.kernel.clock.micro()


async def condition(bench, name="n1"):
    return next(c for c in (await bench.get(core_v1.Node, name)).status.conditions if c.type == "Ready").status


async def taints(bench, name="n1"):
    return {(t.key, t.effect) for t in (await bench.get(core_v1.Node, name)).spec.taints}


async def readiness(bench, name):
    return [c.status for c in (await bench.get(core_v1.Pod, name)).status.conditions if c.type == "Ready"]


async def pod(bench, name, **spec):
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "web:1"}], **spec}
    return await bench.create(core_v1.Pod, {"metadata": {"name": name}, "spec": spec})


async def test_a_node_whose_lease_is_renewed_stays_ready(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    await beat(bench, 300)
    assert await condition(bench) == "True"
    assert await taints(bench) == set()


async def test_a_node_is_unknown_forty_seconds_and_two_looks_after_its_last_word(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    await beat(bench, 100)
    await asyncio.sleep(39)
    assert await condition(bench) == "True"
    await asyncio.sleep(12)
    assert await condition(bench) == "Unknown"
    assert (UNREACHABLE, "NoExecute") in await taints(bench)


async def test_a_node_that_speaks_again_is_taken_back(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    await asyncio.sleep(60)
    assert await condition(bench) == "Unknown"
    await ready(bench)
    await beat(bench, 60)
    assert await condition(bench) == "True"
    assert await taints(bench) == set()


async def test_pods_of_a_silent_node_are_no_longer_ready_nor_those_that_become_so_later(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    await pod(bench, "early", tolerations=[{"operator": "Exists"}])
    await asyncio.sleep(60)
    assert await readiness(bench, "early") == ["False"]
    await pod(bench, "late", tolerations=[{"operator": "Exists"}])
    await asyncio.sleep(5)
    assert await readiness(bench, "late") == ["False"]


async def test_a_pod_that_comes_to_a_tainted_node_leaves_at_once(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    taint = {"key": "maintenance", "effect": "NoExecute"}
    await bench.client.patch(core_v1.Node, "n1", {"spec": {"taints": [taint]}})
    await asyncio.sleep(1)
    await pod(bench, "late")
    await asyncio.sleep(2)
    assert await bench.exists(core_v1.Pod, "late") is None


async def test_a_pod_leaves_when_its_node_gets_a_taint_that_it_does_not_tolerate(bench):
    await bench.start(NodeLifecycleController)
    await node(bench)
    await pod(bench, "there")
    await beat(bench, 60)
    taint = {"key": "maintenance", "effect": "NoExecute"}
    await bench.client.patch(core_v1.Node, "n1", {"spec": {"taints": [taint]}})
    await asyncio.sleep(3)
    assert await bench.exists(core_v1.Pod, "there") is None


async def test_nodes_without_a_range_are_told_of_once_until_they_are_tried_again(bench, monkeypatch):
    monkeypatch.setattr(NodeAddressController, "pod_cidr", "10.0.0.0/24")
    await bench.start(NodeAddressController)
    await node(bench, "n1")
    await asyncio.sleep(1)
    await node(bench, "n2")
    for _ in range(5):
        await asyncio.sleep(1)
        await ready(bench, "n2")
    assert (await bench.get(core_v1.Node, "n1")).spec.podCIDR == "10.0.0.0/24"
    (event,) = [e for e in (await bench.client.list(core_v1.Event)).items if e.reason == "CIDRNotAvailable"]
    assert event.count == 1
    await bench.client.delete(core_v1.Node, "n1")
    await asyncio.sleep(61)
    assert (await bench.get(core_v1.Node, "n2")).spec.podCIDR == "10.0.0.0/24"


async def test_a_heartbeat_of_a_node_that_is_well_is_nobodys_work(bench, monkeypatch):
    reconciled = []
    for controller in (NodeLifecycleController, NodeAddressController):
        reconcile = controller.reconcile
        monkeypatch.setattr(controller, "reconcile", lambda self, key, then=reconcile: reconciled.append(self.name) or then(self, key))
    await bench.start(NodeLifecycleController, NodeAddressController)
    await node(bench)
    await asyncio.sleep(10)
    reconciled.clear()
    for _ in range(6):
        await ready(bench)
        await asyncio.sleep(10)
    assert reconciled == []
    await ready(bench, status="False")
    await asyncio.sleep(1)
    assert NodeLifecycleController.name in reconciled
    assert ("node.kubernetes.io/not-ready", "NoExecute") in await taints(bench)
