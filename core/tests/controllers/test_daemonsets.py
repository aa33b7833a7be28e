"""DaemonSets: a pod on every node that fits, replaced when it fails, updated in place or with surge, and back."""

import asyncio

import msgspec
import pytest

from bareboat.controllers.daemonset.controller import DaemonSetController
from bareboat.controllers.daemonset.pods import node_of
from bareboat.controllers.garbage import GarbageCollector
from bareboat.models import apps_v1, core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(DaemonSetController, GarbageCollector)
    bench.agent.node = ""
    for number in (1, 2, 3):
        await bench.create(core_v1.Node, {"metadata": {"name": f"n{number}", "labels": {"disk": "ssd" if number < 3 else "hdd"}}})
    return bench


def daemonset(image="host:1", pod=None, **spec):
    template = {"metadata": {"labels": {"app": "log"}}, "spec": {"containers": [{"name": "c", "image": image}], **(pod or {})}}
    return {"metadata": {"name": "log"}, "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": template, **spec}}


async def placed(world):
    return sorted(node_of(p) for p in await world.pods())


def on(world, *nodes):
    async def holds():
        found = (await world.get(apps_v1.DaemonSet, "log")).status
        return await placed(world) == list(nodes) and found.numberAvailable == found.desiredNumberScheduled == len(nodes)

    return holds


async def set_image(world, image):
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await world.client.patch(apps_v1.DaemonSet, "log", change, "default", type="strategic")


def runs(world, image, count=3):
    async def holds():
        found = (await world.get(apps_v1.DaemonSet, "log")).status
        images = [p.spec.containers[0].image for p in await world.pods(all=True)]
        return images == [image] * count and found.updatedNumberScheduled == found.numberAvailable == count

    return holds


async def test_every_node_gets_one(world):
    await world.create(apps_v1.DaemonSet, daemonset())
    await world.until(on(world, "n1", "n2", "n3"))
    (pod, *_) = await world.pods()
    term = pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]
    assert term.matchFields[0].key == "metadata.name"
    assert {t.key.split("/")[1] for t in pod.spec.tolerations} == {
        "not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable",
    }  # fmt: skip
    status = (await world.get(apps_v1.DaemonSet, "log")).status
    assert (status.currentNumberScheduled, status.numberReady, status.numberMisscheduled, status.numberUnavailable) == (3, 3, 0, 0)
    (revision,) = (await world.client.list(apps_v1.ControllerRevision, "default")).items
    assert revision.metadata.labels == {"app": "log", "controller-revision-hash": pod.metadata.labels["controller-revision-hash"]}
    assert msgspec.json.encode(revision.data) == msgspec.json.encode(revision.data, order="sorted"), "clients compare bytes"
    assert pod.metadata.labels["pod-template-generation"] == "1"
    await world.create(core_v1.Node, {"metadata": {"name": "n4"}})
    await world.until(on(world, "n1", "n2", "n3", "n4"))


async def test_nodes_are_chosen_by_label_and_taint(world):
    await world.create(apps_v1.DaemonSet, daemonset(pod={"nodeSelector": {"disk": "ssd"}}))
    await world.until(on(world, "n1", "n2"))
    await world.client.patch(core_v1.Node, "n3", {"metadata": {"labels": {"disk": "ssd"}}})
    await world.until(on(world, "n1", "n2", "n3"))
    await world.client.patch(core_v1.Node, "n1", {"metadata": {"labels": {"disk": None}}})
    await world.until(on(world, "n2", "n3"))
    await world.client.patch(core_v1.Node, "n2", {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    await world.until(on(world, "n3"))
    await world.client.patch(core_v1.Node, "n3", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})

    async def misscheduled():
        found = (await world.get(apps_v1.DaemonSet, "log")).status
        return (found.desiredNumberScheduled, found.numberMisscheduled) == (0, 1)

    await world.until(misscheduled)
    assert await placed(world) == ["n3"]


async def test_a_failed_daemon_is_replaced_ever_later(world):
    await world.create(apps_v1.DaemonSet, daemonset())
    await world.until(on(world, "n1", "n2", "n3"))
    world.agent.script = lambda pod: 1 if node_of(pod) == "n1" else None
    seen = set()
    for _ in range(100):
        seen |= {p.metadata.uid for p in await world.pods() if node_of(p) == "n1"}
        await asyncio.sleep(0.5)
    assert 3 <= len(seen) <= 8
    world.agent.script = lambda pod: None
    await world.until(on(world, "n1", "n2", "n3"))
    assert "FailedDaemonPod" in await world.reasons()


async def test_an_update_replaces_one_after_another_and_goes_back(world):
    await world.create(apps_v1.DaemonSet, daemonset())
    await world.until(on(world, "n1", "n2", "n3"))
    await set_image(world, "host:2")
    least = 3

    async def rolled():
        nonlocal least
        least = min(least, sum(p.status.phase == "Running" for p in await world.pods()))
        return await runs(world, "host:2")()

    await world.until(rolled)
    assert least == 2
    await set_image(world, "host:1")
    await world.until(runs(world, "host:1"))
    revisions = (await world.client.list(apps_v1.ControllerRevision, "default")).items
    assert sorted(r.revision for r in revisions) == [2, 3]


async def test_going_back_spares_pods_that_were_never_replaced(world):
    await world.create(apps_v1.DaemonSet, daemonset())
    await world.until(on(world, "n1", "n2", "n3"))
    before = {p.metadata.uid for p in await world.pods()}
    world.agent.script = lambda pod: "hold"
    await set_image(world, "broken:1")
    await asyncio.sleep(10)
    assert len(before & {p.metadata.uid for p in await world.pods()}) == 2
    world.agent.script = lambda pod: None
    await set_image(world, "host:1")
    await world.until(runs(world, "host:1"))
    assert len(before & {p.metadata.uid for p in await world.pods()}) == 2


async def test_with_surge_the_new_pod_comes_first(world):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.create(apps_v1.DaemonSet, daemonset(updateStrategy=rolling))
    await world.until(on(world, "n1", "n2", "n3"))
    await set_image(world, "host:2")
    least, most = 3, 3

    async def rolled():
        nonlocal least, most
        pods = await world.pods()
        least, most = min(least, sum(p.status.phase == "Running" for p in pods)), max(most, len(pods))
        return await runs(world, "host:2")()

    await world.until(rolled)
    assert (least, most) == (3, 4)


async def test_on_delete_waits_for_people(world):
    await world.create(apps_v1.DaemonSet, daemonset(updateStrategy={"type": "OnDelete"}))
    await world.until(on(world, "n1", "n2", "n3"))
    await set_image(world, "host:2")
    await asyncio.sleep(30)
    pods = await world.pods()
    assert {p.spec.containers[0].image for p in pods} == {"host:1"}
    await world.client.delete(core_v1.Pod, pods[0].metadata.name, "default")
    await world.until(on(world, "n1", "n2", "n3"))
    assert sorted(p.spec.containers[0].image for p in await world.pods()) == ["host:1", "host:1", "host:2"]


async def test_pods_for_a_node_that_is_gone_go(world):
    world.agent.script = lambda pod: "hold"
    await world.create(apps_v1.DaemonSet, daemonset())
    await asyncio.sleep(3)
    await world.client.delete(core_v1.Node, "n2")

    async def two():
        return await placed(world) == ["n1", "n3"]

    await world.until(two)
