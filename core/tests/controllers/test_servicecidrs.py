"""ServiceCIDRs are ready, and stay while their addresses are in use. Ephemeral volumes get their claims."""

import asyncio

import pytest

from bareboat.controllers.servicecidrs import ServiceCIDRController
from bareboat.controllers.volumes.ephemeral import EphemeralVolumeController
from bareboat.models import core_v1, networking_v1

pytestmark = pytest.mark.virtual_time
Range = networking_v1.ServiceCIDR


@pytest.fixture
async def world(bench):
    await bench.start(ServiceCIDRController, EphemeralVolumeController)
    await bench.create(Range, {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.200.0.0/24"]}})
    await asyncio.sleep(1)
    return bench


def ready(found):
    return [(c.type, c.status, c.reason) for c in found.status.conditions]


async def test_a_range_is_ready_and_goes_when_it_is_deleted(world):
    found = await world.get(Range, "extra")
    assert ready(found) == [("Ready", "True", "")]
    assert found.metadata.finalizers == ["networking.k8s.io/service-cidr-finalizer"]
    await world.client.delete(Range, "extra")
    await asyncio.sleep(15)
    assert await world.exists(Range, "extra") is None


async def test_a_range_in_use_stays_until_its_addresses_are_free_or_covered(world):
    parent = {"resource": "services", "namespace": "default", "name": "s"}
    await world.create(networking_v1.IPAddress, {"metadata": {"name": "10.200.0.7"}, "spec": {"parentRef": parent}})
    await world.client.delete(Range, "extra")
    await asyncio.sleep(30)
    assert ready(await world.get(Range, "extra")) == [("Ready", "False", "Terminating")]
    await world.create(Range, {"metadata": {"name": "wider"}, "spec": {"cidrs": ["10.200.0.0/16"]}})
    await asyncio.sleep(30)
    assert await world.exists(Range, "extra") is None


async def test_an_ephemeral_volume_gets_a_claim_of_the_pods_own(world):
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}
    await world.create(
        core_v1.Pod, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "host"}], "volumes": [volume]}}
    )
    await asyncio.sleep(1)
    claim = await world.get(core_v1.PersistentVolumeClaim, "p-scratch")
    assert [(o.kind, o.name, o.controller) for o in claim.metadata.ownerReferences] == [("Pod", "p", True)]
