"""Endpoints that people write for a Service without a selector become EndpointSlices."""

import pytest

from bareboat.controllers.garbage import GarbageCollector
from bareboat.controllers.mirroring import EndpointSliceMirroringController
from bareboat.models import core_v1, discovery_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(EndpointSliceMirroringController, GarbageCollector)
    await bench.create(core_v1.Service, {"metadata": {"name": "ext"}, "spec": {"ports": [{"port": 80}]}})
    return bench


def subset(*addresses, port=80):
    return {"addresses": [{"ip": a} for a in addresses], "ports": [{"port": port, "protocol": "TCP"}]}


def slices(world, *wanted):
    async def holds():
        found = (await world.client.list(discovery_v1.EndpointSlice, "default", labels="kubernetes.io/service-name=ext")).items
        have = sorted((s.addressType, s.ports[0].port, tuple(e.addresses[0] for e in s.endpoints)) for s in found)
        return have == sorted(wanted)

    return holds


async def test_endpoints_are_mirrored_followed_and_forgotten(world):
    await world.create(core_v1.Endpoints, {"metadata": {"name": "ext"}, "subsets": [subset("10.1.2.3", "fd00::1")]})
    await world.until(slices(world, ("IPv4", 80, ("10.1.2.3",)), ("IPv6", 80, ("fd00::1",))))
    (found, *_) = (await world.client.list(discovery_v1.EndpointSlice, "default")).items
    assert found.metadata.labels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert found.metadata.ownerReferences[0].kind == "Endpoints"
    await world.client.patch(core_v1.Endpoints, "ext", {"subsets": [subset("10.2.3.4", port=81)]}, "default")
    await world.until(slices(world, ("IPv4", 81, ("10.2.3.4",))))
    await world.client.delete(core_v1.Endpoints, "ext", "default")
    await world.until(slices(world))


@pytest.mark.parametrize(
    "meta",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
async def test_some_endpoints_are_not_to_be_mirrored(world, meta):
    await world.create(core_v1.Endpoints, {"metadata": {"name": "ext", **meta}, "subsets": [subset("10.1.2.3")]})
    with pytest.raises(TimeoutError):
        await world.until(slices(world, ("IPv4", 80, ("10.1.2.3",))), 10)
