"""Every cluster IP of a Service has its IPAddress."""

import asyncio

import pytest

from bareboat.controllers.ipaddresses import IPAddressController
from bareboat.models import core_v1, networking_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(IPAddressController)
    return bench


def service(name, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_an_address_is_shown_while_a_service_has_it(world):
    made = await world.create(core_v1.Service, service("a"))
    await asyncio.sleep(1)
    shown = await world.client.get(networking_v1.IPAddress, made.spec.clusterIP)
    assert (shown.spec.parentRef.resource, shown.spec.parentRef.namespace, shown.spec.parentRef.name) == ("services", "default", "a")
    assert shown.metadata.labels == {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    await world.client.delete(core_v1.Service, "a", "default")
    await asyncio.sleep(1)
    assert (await world.client.list(networking_v1.IPAddress)).items == []


async def test_an_address_goes_over_to_the_service_that_has_it_next(world):
    made = await world.create(core_v1.Service, service("a"))
    await asyncio.sleep(1)
    await world.client.delete(core_v1.Service, "a", "default")
    await world.create(core_v1.Service, service("b", clusterIP=made.spec.clusterIP))
    await asyncio.sleep(2)
    assert (await world.client.get(networking_v1.IPAddress, made.spec.clusterIP)).spec.parentRef.name == "b"


async def test_headless_services_and_addresses_of_people_are_left_alone(world):
    await world.create(core_v1.Service, service("headless", clusterIP="None"))
    parent = {"resource": "things", "name": "mine"}
    await world.create(networking_v1.IPAddress, {"metadata": {"name": "10.96.9.9"}, "spec": {"parentRef": parent}})
    await asyncio.sleep(2)
    assert [a.metadata.name for a in (await world.client.list(networking_v1.IPAddress)).items] == ["10.96.9.9"]
