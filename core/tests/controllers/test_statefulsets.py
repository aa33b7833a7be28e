"""StatefulSets: order, identity, storage, rolling updates and going back."""

import asyncio

import pytest

from bareboat.controllers.garbage import GarbageCollector
from bareboat.controllers.statefulset.controller import StatefulSetController
from bareboat.controllers.volumes.protection import ClaimProtectionController
from bareboat.models import apps_v1, core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(StatefulSetController, ClaimProtectionController, GarbageCollector)
    return bench


def statefulset(replicas=3, image="host:1", **spec):
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    wanted = {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    return {"metadata": {"name": "db"}, "spec": {**wanted, **spec}}


CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def status(world):
    return (await world.get(apps_v1.StatefulSet, "db")).status


async def settled(world, replicas, image="host:1"):
    found = await world.get(apps_v1.StatefulSet, "db")
    pods = await world.pods(all=True)
    ready = found.status.readyReplicas == found.status.availableReplicas == replicas == len(pods) == found.status.replicas
    same = found.status.observedGeneration == found.metadata.generation and found.status.updatedReplicas == replicas
    return ready and same and {p.spec.containers[0].image for p in pods} <= {image}


async def set_image(world, image):
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await world.client.patch(apps_v1.StatefulSet, "db", change, "default", type="strategic")


async def observe(world, seen):
    while True:
        pods = await world.pods(all=True)
        names = tuple(p.metadata.name for p in pods)
        if not seen or seen[-1] != names:
            seen.append(names)
        await asyncio.sleep(0.1)


async def test_pods_come_one_after_another_and_know_who_they_are(world):
    seen = []
    watcher = asyncio.ensure_future(observe(world, seen))
    await world.create(apps_v1.StatefulSet, statefulset())
    await world.until(lambda: settled(world, 3))
    await world.client.patch(apps_v1.StatefulSet, "db", {"spec": {"replicas": 1}}, "default")
    await world.until(lambda: settled(world, 1))
    watcher.cancel()
    three = ("db-0", "db-1", "db-2")
    assert [s for s in seen if s] == [three[:1], three[:2], three, three[:2], three[:1]]
    (pod,) = await world.pods()
    labels, found = pod.metadata.labels, await status(world)
    assert labels["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert labels["apps.kubernetes.io/pod-index"] == "0"
    assert labels["controller-revision-hash"] == found.currentRevision == found.updateRevision
    assert (pod.spec.hostname, pod.spec.subdomain, pod.metadata.generateName) == ("db-0", "db", "db-")
    assert {"SuccessfulCreate", "SuccessfulDelete"} <= await world.reasons()


async def test_scaling_halts_at_an_unhealthy_pod(world):
    world.agent.script = lambda pod: "hold" if pod.metadata.name == "db-1" else None
    await world.create(apps_v1.StatefulSet, statefulset())
    await asyncio.sleep(60)
    assert await world.pod_names() == ["db-0", "db-1"]
    assert (await status(world)).readyReplicas == 1


async def test_a_parallel_set_does_not_wait(world):
    world.agent.script = lambda pod: "hold"
    await world.create(apps_v1.StatefulSet, statefulset(podManagementPolicy="Parallel", ordinals={"start": 5}))
    await asyncio.sleep(5)
    assert await world.pod_names() == ["db-5", "db-6", "db-7"]
    await world.client.patch(apps_v1.StatefulSet, "db", {"spec": {"replicas": 0}}, "default")
    await asyncio.sleep(5)
    assert await world.pod_names() == []


async def test_a_rolling_update_goes_from_the_last_to_the_first_and_back(world):
    await world.create(apps_v1.StatefulSet, statefulset())
    await world.until(lambda: settled(world, 3))
    first = (await status(world)).currentRevision
    await set_image(world, "host:2")
    least, order = 3, []

    async def rolled():
        nonlocal least
        pods = await world.pods()
        least = min(least, sum(p.status.phase == "Running" for p in pods))
        for pod in pods:
            if pod.spec.containers[0].image == "host:2" and pod.metadata.name not in order:
                order.append(pod.metadata.name)
        return await settled(world, 3, "host:2")

    await world.until(rolled)
    assert order == ["db-2", "db-1", "db-0"]
    assert least >= 2
    second = (await status(world)).currentRevision
    assert second != first
    await set_image(world, "host:1")
    await world.until(lambda: settled(world, 3, "host:1"))
    assert (await status(world)).currentRevision == first
    revisions = (await world.client.list(apps_v1.ControllerRevision, "default")).items
    assert {r.metadata.name: r.revision for r in revisions} == {first: 3, second: 2}
    assert revisions[0].data["spec"]["template"]["$patch"] == "replace"


async def test_a_partition_keeps_the_old_template_below_it(world):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.create(apps_v1.StatefulSet, statefulset(updateStrategy=rolling))
    await world.until(lambda: settled(world, 3))
    await set_image(world, "host:2")

    async def images(*wanted):
        pods = await world.pods()
        return [(p.spec.containers[0].image, p.status.phase) for p in pods] == [(f"host:{w}", "Running") for w in wanted]

    await world.until(lambda: images(1, 1, 2))
    for name in ("db-0", "db-2"):
        await world.client.delete(core_v1.Pod, name, "default")
    await asyncio.sleep(0.5)
    await world.until(lambda: images(1, 1, 2))
    found = await status(world)
    assert (found.currentReplicas, found.updatedReplicas) == (2, 1)
    assert found.currentRevision != found.updateRevision
    await world.client.patch(apps_v1.StatefulSet, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}, "default")
    await world.until(lambda: images(2, 2, 2))


async def test_on_delete_waits_for_people(world):
    await world.create(apps_v1.StatefulSet, statefulset(2, updateStrategy={"type": "OnDelete"}))
    await world.until(lambda: settled(world, 2))
    await set_image(world, "host:2")
    await asyncio.sleep(30)
    assert {p.spec.containers[0].image for p in await world.pods()} == {"host:1"}
    await world.client.delete(core_v1.Pod, "db-1", "default")
    await asyncio.sleep(10)
    assert [p.spec.containers[0].image for p in await world.pods()] == ["host:1", "host:2"]


async def test_several_may_be_unavailable_at_once(world):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    await world.create(apps_v1.StatefulSet, statefulset(5, updateStrategy=rolling, podManagementPolicy="Parallel"))
    await world.until(lambda: settled(world, 5))
    await set_image(world, "host:2")
    least = 5

    async def rolled():
        nonlocal least
        least = min(least, sum(p.status.phase == "Running" for p in await world.pods()))
        return await settled(world, 5, "host:2")

    await world.until(rolled)
    assert least == 3


async def test_a_failed_pod_is_made_anew(world):
    await world.create(apps_v1.StatefulSet, statefulset(1))
    await world.until(lambda: settled(world, 1))
    (pod,) = await world.pods()
    await world.agent.exit(pod, 1)

    async def anew():
        found = await world.pods()
        return bool(found) and found[0].metadata.uid != pod.metadata.uid and await settled(world, 1)

    await world.until(anew)
    assert "RecreatingFailedPod" in await world.reasons()


async def test_claims_stay_when_the_set_shrinks_unless_they_are_not_to(world):
    await world.create(apps_v1.StatefulSet, statefulset(2, volumeClaimTemplates=[CLAIM]))
    await world.until(lambda: settled(world, 2))
    claims = (await world.client.list(core_v1.PersistentVolumeClaim, "default")).items
    assert sorted(c.metadata.name for c in claims) == ["data-db-0", "data-db-1"]
    assert claims[0].metadata.labels == {"app": "db"}
    assert claims[0].metadata.ownerReferences == []
    (pod, _) = await world.pods()
    assert pod.spec.volumes[0].persistentVolumeClaim.claimName == "data-db-0"
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    await world.client.patch(
        apps_v1.StatefulSet, "db", {"spec": {"replicas": 1, "persistentVolumeClaimRetentionPolicy": policy}}, "default"
    )

    async def one():
        found = (await world.client.list(core_v1.PersistentVolumeClaim, "default")).items
        return [c.metadata.name for c in found] == ["data-db-0"]

    await world.until(one)


async def test_claims_go_with_the_set_if_they_are_to(world):
    policy = {"whenScaled": "Retain", "whenDeleted": "Delete"}
    await world.create(apps_v1.StatefulSet, statefulset(1, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy))
    await world.until(lambda: settled(world, 1))
    await world.client.delete(apps_v1.StatefulSet, "db", "default")

    async def none():
        return not (await world.client.list(core_v1.PersistentVolumeClaim, "default")).items and not await world.pods(all=True)

    await world.until(none)


async def test_old_revisions_go(world):
    await world.create(apps_v1.StatefulSet, statefulset(1, revisionHistoryLimit=1))
    for number in range(1, 5):
        await set_image(world, f"host:{number}")
        await world.until(lambda n=number: settled(world, 1, f"host:{n}"))

    async def two():
        return len((await world.client.list(apps_v1.ControllerRevision, "default")).items) == 2

    await world.until(two)


async def test_availability_waits_for_min_ready_seconds(world):
    await world.create(apps_v1.StatefulSet, statefulset(2, minReadySeconds=20))
    await asyncio.sleep(15)
    found = await status(world)
    assert (found.replicas, found.readyReplicas, found.availableReplicas) == (1, 1, 0)
    await world.until(lambda: settled(world, 2))
