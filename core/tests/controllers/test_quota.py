"""ResourceQuotas: what is used is counted from what is there, within their scopes."""

import pytest

from bareboat.controllers.quota.controller import ResourceQuotaController
from bareboat.models import core_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(ResourceQuotaController)
    return bench


async def quota(world, hard, name="q", **spec):
    await world.create(core_v1.ResourceQuota, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})


def used(world, wanted, name="q"):
    async def holds():
        status = (await world.get(core_v1.ResourceQuota, name)).status
        return status.used == wanted and set(status.hard) >= set(wanted)

    return holds


def pod(name="p", requests=None, limits=None, **spec):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "host", "resources": resources}], **spec}}


async def test_pods_and_what_they_ask_for(world):
    hard = {"pods": "5", "cpu": "2", "requests.memory": "1Gi", "limits.cpu": "4", "requests.example.com/toy": "3", "count/pods": "9"}
    await quota(world, hard)
    await world.until(used(world, dict.fromkeys(hard, "0")))
    await world.create(
        core_v1.Pod, pod(requests={"cpu": "500m", "memory": "300Mi", "example.com/toy": "2"}, limits={"cpu": "1", "example.com/toy": "2"})
    )
    wanted = {"pods": "1", "cpu": "500m", "requests.memory": "300Mi", "limits.cpu": "1", "requests.example.com/toy": "2", "count/pods": "1"}
    await world.until(used(world, wanted))
    world.agent.script = lambda pod: 0
    await world.until(used(world, {**dict.fromkeys(hard, "0"), "count/pods": "1"}))
    await world.client.delete(core_v1.Pod, "p", "default")
    await world.until(used(world, dict.fromkeys(hard, "0")))


async def test_init_containers_and_overhead_count_as_the_scheduler_counts_them(world):
    await quota(world, {"requests.cpu": "9"})
    init = [
        {"name": "side", "image": "host", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "first", "image": "host", "resources": {"requests": {"cpu": "2"}}},
    ]
    await world.create(core_v1.Pod, pod(requests={"cpu": "500m"}, initContainers=init))
    await world.until(used(world, {"requests.cpu": "2100m"}))


async def test_services_claims_and_counts(world):
    gold = "gold.storageclass.storage.k8s.io/"
    hard = {"services": "5", "services.nodeports": "9", "services.loadbalancers": "1", "configmaps": "9", "count/secrets": "9"}
    await quota(world, {**hard, "requests.storage": "9Gi", f"{gold}persistentvolumeclaims": "3", f"{gold}requests.storage": "9Gi"})
    await world.create(
        core_v1.Service,
        {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}},
    )
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "c"}})
    for name in ("a", "b"):
        await world.create(core_v1.Secret, {"metadata": {"name": name}})
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "resources": {"requests": {"storage": "2Gi"}}}
    await world.create(core_v1.PersistentVolumeClaim, {"metadata": {"name": "d"}, "spec": claim})
    wanted = {"services": "1", "services.nodeports": "2", "services.loadbalancers": "0", "configmaps": "1", "count/secrets": "2"}
    storage = {"requests.storage": "2Gi", f"{gold}persistentvolumeclaims": "1", f"{gold}requests.storage": "2Gi"}
    await world.until(used(world, {**wanted, **storage}))


async def test_scopes_choose_the_pods(world):
    await quota(world, {"pods": "5"}, "best", scopes=["BestEffort"])
    await quota(world, {"pods": "5"}, "not-best", scopes=["NotBestEffort"])
    await quota(world, {"pods": "5"}, "short", scopes=["Terminating"])
    high = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    await quota(world, {"pods": "5"}, "high", scopeSelector=high)
    await world.create(core_v1.Pod, pod("a", activeDeadlineSeconds=60))
    await world.create(core_v1.Pod, pod("b", requests={"cpu": "1"}, priorityClassName="high"))
    for name in ("best", "not-best", "short", "high"):
        await world.until(used(world, {"pods": "1"}, name))


async def test_a_changed_quota_is_counted_again(world):
    await quota(world, {"configmaps": "5"})
    await world.until(used(world, {"configmaps": "0"}))
    await world.client.patch(core_v1.ResourceQuota, "q", {"spec": {"hard": {"configmaps": "7", "secrets": "1"}}}, "default")
    await world.until(used(world, {"configmaps": "0", "secrets": "0"}))
    assert (await world.get(core_v1.ResourceQuota, "q")).status.hard == {"configmaps": "7", "secrets": "1"}
