"""PodDisruptionBudgets: what the status says, and that evictions keep to it."""

import asyncio

import pytest

from bareboat.controllers.deployment import DeploymentController
from bareboat.controllers.disruption.controller import DisruptionController
from bareboat.controllers.replicaset import ReplicaSetController
from bareboat.models import apps_v1, core_v1, policy_v1
from bareboat.models.status import InternalError, TooManyRequests

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(DisruptionController, DeploymentController, ReplicaSetController)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "host:1"}]}}
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await bench.create(apps_v1.Deployment, {"metadata": {"name": "web"}, "spec": spec})
    return bench


async def budget(world, name="web", **spec):
    await world.create(
        policy_v1.PodDisruptionBudget, {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}
    )


def reads(world, expected, desired, healthy, allowed):
    async def holds():
        status = (await world.get(policy_v1.PodDisruptionBudget, "web")).status
        return (status.expectedPods, status.desiredHealthy, status.currentHealthy, status.disruptionsAllowed) == (
            expected, desired, healthy, allowed,
        )  # fmt: skip

    return holds


async def evict(world, pod):
    meta = {"name": pod.metadata.name, "namespace": "default"}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    return await world.client.post(f"/api/v1/namespaces/default/pods/{pod.metadata.name}/eviction", body)


@pytest.mark.parametrize(
    ("spec", "desired"),
    [({"minAvailable": 3}, 3), ({"minAvailable": "60%"}, 3), ({"maxUnavailable": 1}, 3), ({"maxUnavailable": "30%"}, 2)],
)
async def test_the_status_counts(world, spec, desired):
    await budget(world, **spec)
    await world.until(reads(world, 4, desired, 4, 4 - desired))
    (condition,) = (await world.get(policy_v1.PodDisruptionBudget, "web")).status.conditions
    assert (condition.type, condition.status, condition.reason) == ("DisruptionAllowed", "True", "SufficientPods")


async def test_evictions_keep_to_the_budget(world):
    await budget(world, minAvailable=3)
    await world.until(reads(world, 4, 3, 4, 1))
    first, second, *_ = await world.pods()
    await evict(world, first)
    found = await world.exists(core_v1.Pod, first.metadata.name)
    assert [c.reason for c in found.status.conditions if c.type == "DisruptionTarget"] == ["EvictionByEvictionAPI"]
    with pytest.raises(TooManyRequests) as caught:
        await evict(world, second)
    assert str(caught.value) == "Cannot evict pod as it would violate the pod's disruption budget."
    assert caught.value.causes[0].type == "DisruptionBudget"
    await world.until(reads(world, 4, 3, 4, 1))
    status = (await world.get(policy_v1.PodDisruptionBudget, "web")).status
    assert status.disruptedPods == {}
    await evict(world, second)


async def test_pods_that_are_not_ready_may_go_as_the_policy_says(world):
    await budget(world, minAvailable=4)
    await world.until(reads(world, 4, 4, 4, 0))
    world.agent.script = lambda pod: "hold"
    pod = (await world.pods())[0]
    pod.status.conditions[-1].status = "False"
    await world.client.update(pod, subresource="status")
    await world.until(reads(world, 4, 4, 3, 0))
    with pytest.raises(TooManyRequests):
        await evict(world, pod)
    await world.client.patch(policy_v1.PodDisruptionBudget, "web", {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}, "default")
    await evict(world, pod)


async def test_several_budgets_for_a_pod_are_refused(world):
    await budget(world, minAvailable=1)
    await budget(world, "other", minAvailable=1)
    await asyncio.sleep(5)
    with pytest.raises(InternalError, match="more than one PodDisruptionBudget"):
        await evict(world, (await world.pods())[0])


async def test_a_controller_without_scale_allows_nothing(world):
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone", "uid": "1", "controller": True}
    meta = {"name": "p", "labels": {"app": "web"}, "ownerReferences": [owner]}
    await world.create(core_v1.Pod, {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "host"}]}})
    await budget(world, maxUnavailable=1)

    async def failed():
        status = (await world.get(policy_v1.PodDisruptionBudget, "web")).status
        return [c.reason for c in status.conditions] == ["SyncFailed"] and status.disruptionsAllowed == 0

    await world.until(failed)


async def test_a_pod_that_was_not_disrupted_after_all_is_no_longer_a_target(world):
    await asyncio.sleep(5)
    pod = (await world.pods())[0]
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "Test", "lastTransitionTime": world.now()}
    patch = {"status": {"conditions": [condition]}}
    await world.client.patch(core_v1.Pod, pod.metadata.name, patch, "default", type="strategic", subresource="status")

    async def target(status):
        found = await world.get(core_v1.Pod, pod.metadata.name)
        return [c.status for c in found.status.conditions if c.type == "DisruptionTarget"] == [status]

    await asyncio.sleep(110)
    assert await target("True")
    await asyncio.sleep(15)
    assert await target("False")
