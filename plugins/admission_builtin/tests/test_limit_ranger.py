"""Defaults and bounds of a namespace."""

import pytest

from bareboat.models import core_v1

pytestmark = pytest.mark.virtual_time


async def limits(world, *items):
    await world.create(core_v1.LimitRange, {"metadata": {"name": "l"}, "spec": {"limits": list(items)}})


async def test_containers_get_what_they_do_not_name_and_the_pod_says_so(world):
    await limits(world, {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}})
    pod = await world.pod(resources={"requests": {"memory": "1Mi"}})
    resources = pod.spec.containers[0].resources
    assert (resources.requests, resources.limits) == ({"cpu": "100m", "memory": "1Mi"}, {"cpu": "1", "memory": "1Gi"})
    told = pod.metadata.annotations["kubernetes.io/limit-ranger"]
    assert told == "LimitRanger plugin set: cpu request for container c; cpu, memory limit for container c"


@pytest.mark.parametrize(
    ("item", "resources", "fault"),
    [
        ({"min": {"cpu": "50m"}}, {"requests": {"cpu": "10m"}}, "minimum cpu usage per Container is 50m, but request is 10m"),
        ({"max": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}}, "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
    ],
)
async def test_what_is_out_of_bounds_is_refused_with_upstreams_sentence(world, item, resources, fault):
    await limits(world, {"type": "Container", **item})
    error = await world.refused(world.pod(resources=resources))
    assert (error.code, error.message) == (403, f'pods "p" is forbidden: {fault}')


async def test_all_faults_of_a_pod_are_told_together(world):
    await limits(world, {"type": "Pod", "min": {"cpu": "50m", "memory": "1Mi"}})
    error = await world.refused(world.pod())
    text = "[minimum cpu usage per Pod is 50m.  No request is specified, minimum memory usage per Pod is 1Mi.  No request is specified]"
    assert error.message == f'pods "p" is forbidden: {text}'


async def test_claims_have_bounds_too(world):
    await limits(world, {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    error = await world.refused(world.create(core_v1.PersistentVolumeClaim, {"metadata": {"name": "d"}, "spec": spec}))
    assert error.message.endswith("maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi")


async def test_a_range_that_is_gone_binds_nobody(world):
    await limits(world, {"type": "Container", "min": {"cpu": "50m"}})
    await world.client.delete(core_v1.LimitRange, "l", "default")
    await world.pod(resources={"requests": {"cpu": "10m"}})
