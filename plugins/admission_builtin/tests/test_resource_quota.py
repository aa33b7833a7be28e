"""Nothing goes over a quota: one write, many at once, updates, scopes, and a controller that counts meanwhile."""

import asyncio

import pytest

from bareboat.contracts.auth import UserInfo
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import Conflict, Forbidden
from bareboat_admission_builtin.quota.plugin import CONTROLLER

pytestmark = pytest.mark.virtual_time


async def quota(world, hard, name="q", used=None, **spec):
    made = await world.create(core_v1.ResourceQuota, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
    made.status.hard, made.status.used = made.spec.hard, used or dict.fromkeys(hard, "0")
    return await world.client.update(made, subresource="status")


async def used(world, name="q"):
    return (await world.client.get(core_v1.ResourceQuota, name, "default")).status.used


async def test_what_fits_is_reserved_in_the_status(world):
    await quota(world, {"pods": "5", "requests.cpu": "1", "limits.memory": "2Gi", "requests.nvidia.com/gpu": "3"})
    gpu = {"nvidia.com/gpu": "1"}
    await world.pod(resources={"requests": {"cpu": "250m", **gpu}, "limits": {"cpu": "1", "memory": "500Mi", **gpu}})
    assert await used(world) == {"pods": "1", "requests.cpu": "250m", "limits.memory": "500Mi", "requests.nvidia.com/gpu": "1"}


async def test_what_does_not_fit_is_refused_with_the_numbers(world):
    await quota(world, {"pods": "5", "requests.cpu": "1"}, used={"pods": "5", "requests.cpu": "900m"})
    error = await world.refused(world.pod(resources={"requests": {"cpu": "500m"}}))
    numbers = "requested: pods=1,requests.cpu=500m, used: pods=5,requests.cpu=900m, limited: pods=5,requests.cpu=1"
    assert (error.code, error.reason) == (403, "Forbidden")
    assert error.message == f'pods "p" is forbidden: exceeded quota: q, {numbers}'
    assert await used(world) == {"pods": "5", "requests.cpu": "900m"}


async def test_a_hundred_writers_at_once_never_go_over(world):
    await quota(world, {"pods": "7"})
    await quota(world, {"count/pods": "9"}, name="r")
    outcome = await asyncio.gather(*(world.pod(f"p{i}") for i in range(100)), return_exceptions=True)
    assert sum(isinstance(o, core_v1.Pod) for o in outcome) == 7
    assert all(isinstance(o, core_v1.Pod | Forbidden) for o in outcome)
    assert (await used(world), await used(world, "r")) == ({"pods": "7"}, {"count/pods": "7"})


async def test_the_controller_cannot_take_back_what_is_under_way(world):
    made = await quota(world, {"pods": "1"})
    await world.pod()
    fresh = await world.client.get(core_v1.ResourceQuota, "q", "default")
    fresh.status.used = {"pods": "0"}  # counted before the pod could be seen
    controller = world.kernel.client_for(UserInfo(name=CONTROLLER))
    with pytest.raises(Conflict):
        await controller.update(fresh, subresource="status")
    await world.kernel.clock.sleep(2)
    with pytest.raises(Conflict):  # this count may have begun too early
        await controller.update(fresh, subresource="status")
    await controller.update(fresh, subresource="status")
    assert await used(world) == {"pods": "0"}
    assert made.metadata.name == "q"


async def test_a_dry_run_is_checked_and_reserves_nothing(world):
    await quota(world, {"pods": "1"})
    await world.pod(dry_run=True)
    assert await used(world) == {"pods": "0"}
    await world.pod()
    assert (await world.refused(world.pod("q", dry_run=True))).code == 403


async def test_containers_name_their_share_where_it_is_counted(world):
    await quota(world, {"cpu": "5", "limits.memory": "5Gi"})
    error = await world.refused(world.pod())
    assert error.message == 'pods "p" is forbidden: failed quota: q: must specify cpu for: c; limits.memory for: c'


async def test_a_quota_that_was_never_counted_lets_nothing_in(world):
    made = await world.create(core_v1.ResourceQuota, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}})
    made.status.hard = {"pods": "1"}
    await world.client.update(made, subresource="status")
    error = await world.refused(world.pod())
    assert error.message == 'pods "p" is forbidden: status unknown for quota: q, resources: pods'


async def test_an_update_is_charged_with_the_difference(world):
    await quota(world, {"services": "1", "services.nodeports": "2", "services.loadbalancers": "0"})
    spec = {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}], "type": "NodePort", "selector": {"a": "b"}}
    service = await world.create(core_v1.Service, {"metadata": {"name": "s"}, "spec": spec})
    service.metadata.labels = {"new": "label"}
    service = await world.client.update(service)
    assert await used(world) == {"services": "1", "services.nodeports": "2", "services.loadbalancers": "0"}
    service.spec.type = "LoadBalancer"
    error = await world.refused(world.client.update(service))
    assert "requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0" in error.message


async def test_scopes_choose_the_pods(world):
    await quota(world, {"pods": "0"}, scopes=["BestEffort"])
    await quota(world, {"pods": "0"}, name="t", scopes=["Terminating"])
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    await quota(world, {"pods": "0"}, name="h", scopeSelector=selector)
    share = {"requests": {"cpu": "1"}}
    assert "exceeded quota: q," in (await world.refused(world.pod())).message
    assert "exceeded quota: t," in (await world.refused(world.pod(resources=share, activeDeadlineSeconds=5))).message
    assert "exceeded quota: h," in (await world.refused(world.pod(resources=share, priorityClassName="high"))).message
    await world.pod(resources=share)


async def test_objects_of_any_kind_are_counted(world):
    await quota(world, {"count/deployments.apps": "1", "configmaps": "1", "secrets": "0"})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await world.create(apps_v1.Deployment, {"metadata": {"name": "d"}, "spec": spec})
    error = await world.refused(world.create(apps_v1.Deployment, {"metadata": {"name": "e"}, "spec": spec}))
    wanted = "requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1"
    assert error.message == f'deployments.apps "e" is forbidden: exceeded quota: q, {wanted}'
    await world.create(core_v1.ConfigMap, {"metadata": {"name": "c"}})
    assert (await world.refused(world.create(core_v1.Secret, {"metadata": {"name": "s"}}))).code == 403


async def test_claims_are_counted_by_class(world):
    await quota(world, {"gold.storageclass.storage.k8s.io/requests.storage": "10Gi", "persistentvolumeclaims": "5"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}, "storageClassName": "gold"}
    await world.create(core_v1.PersistentVolumeClaim, {"metadata": {"name": "a"}, "spec": spec})
    error = await world.refused(
        world.client.create(from_tree(core_v1.PersistentVolumeClaim, {"metadata": {"name": "b", "namespace": "default"}, "spec": spec}))
    )
    assert "gold.storageclass.storage.k8s.io/requests.storage=8Gi" in error.message
