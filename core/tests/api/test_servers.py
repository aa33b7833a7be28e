"""Two API servers over one store answer as one would."""

import asyncio

import pytest

from bareboat.base.ids import SeededIds
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists, Conflict, Invalid, NotFound, ServiceUnavailable, Timeout
from bareboat.testing.kernel import Kernel
from bareboat.testing.shared_store import Hub, HubStore

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def hub():
    hub = Hub()
    hub.silent = True  # what is right must be so without a hint
    return hub


@pytest.fixture
async def servers(hub):
    kernels = [await Kernel(store=HubStore(hub), ids=SeededIds(i)).start() for i in (1, 2)]
    yield [kernel.client for kernel in kernels]
    hub.down = False
    for kernel in kernels:
        await kernel.stop()


def config_map(name, **data):
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), data=data)


def service(name, address="", node_port=0):
    port = core_v1.ServicePort(port=80, nodePort=node_port)
    spec = core_v1.ServiceSpec(ports=[port], clusterIP=address, type="NodePort" if node_port else "ClusterIP")
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), spec=spec)


async def test_what_one_server_made_the_other_reads_changes_and_deletes_at_once(servers):
    one, two = servers
    made = await one.create(config_map("a", x="1"))
    assert (await two.get(core_v1.ConfigMap, "a", "default")).metadata == made.metadata
    made.data = {"x": "2"}
    changed = await two.update(made)
    assert (await one.list(core_v1.ConfigMap, "default")).items[0].data == {"x": "2"}
    patched = await one.patch(
        core_v1.ConfigMap, "a", {"data": {"y": "3"}, "metadata": {"resourceVersion": changed.metadata.resourceVersion}}, "default"
    )
    assert patched.data == {"x": "2", "y": "3"}
    await two.delete(core_v1.ConfigMap, "a", "default")
    with pytest.raises(NotFound):
        await one.get(core_v1.ConfigMap, "a", "default")
    await one.create(config_map("a"))


async def test_a_name_is_given_once(servers):
    results = await asyncio.gather(*(s.create(config_map("same")) for s in servers * 3), return_exceptions=True)
    assert sum(isinstance(r, core_v1.ConfigMap) for r in results) == 1
    assert sum(isinstance(r, AlreadyExists) for r in results) == 5


async def test_of_two_updates_of_one_revision_one_conflicts(servers):
    made = await servers[0].create(config_map("a"))
    made.data = {"by": "x"}
    results = await asyncio.gather(*(s.update(made) for s in servers), return_exceptions=True)
    assert sorted(type(r).__name__ for r in results) in (["ConfigMap", "ConfigMap"], ["ConfigMap", "Conflict"])
    made.data = {"by": "y"}
    with pytest.raises(Conflict):
        await servers[1].update(made)


async def test_patches_through_all_servers_are_all_there(servers):
    await servers[0].create(config_map("a"))
    await asyncio.gather(*(servers[i % 2].patch(core_v1.ConfigMap, "a", {"data": {f"k{i}": "x"}}, "default") for i in range(24)))
    for server in servers:
        assert len((await server.get(core_v1.ConfigMap, "a", "default")).data) == 24


async def test_a_cluster_address_is_given_once(servers):
    results = await asyncio.gather(*(servers[i % 2].create(service(f"s{i}", "10.96.0.99")) for i in range(6)), return_exceptions=True)
    assert sum(isinstance(r, core_v1.Service) for r in results) == 1
    assert {str(r).rpartition(": ")[2] for r in results if isinstance(r, Invalid)} == {"provided IP is already allocated"}


async def test_a_node_port_is_given_once_and_again_after_its_service(servers):
    results = await asyncio.gather(*(servers[i % 2].create(service(f"s{i}", node_port=30080)) for i in range(6)), return_exceptions=True)
    (won,) = [r for r in results if isinstance(r, core_v1.Service)]
    await servers[0].delete(core_v1.Service, won.metadata.name, "default")
    await servers[1].create(service("next", node_port=30080))


async def test_addresses_chosen_on_several_servers_differ(servers):
    made = await asyncio.gather(*(servers[i % 2].create(service(f"s{i}")) for i in range(30)))
    assert len({s.spec.clusterIP for s in made}) == 30


async def test_a_watch_goes_on_where_one_at_another_server_ended(servers):
    one, two = servers
    made = await one.create(config_map("a"))
    await one.create(config_map("b"))
    async with asyncio.timeout(30):
        async for event in two.watch(core_v1.ConfigMap, "default", resource_version=made.metadata.resourceVersion):
            assert (event.type, event.object.metadata.name) == ("ADDED", "b")
            return


async def test_a_read_of_a_revision_that_no_server_has_is_refused_after_a_while(servers):
    answer = await servers[1].transport.request("GET", "/api/v1/namespaces/default/configmaps", query={"resourceVersion": "999"})
    assert answer.status == Timeout.code == 504
    assert b"Too large resource version" in answer.body


async def test_without_its_store_a_server_refuses_writes_and_fresh_reads_and_serves_what_it_has(servers, hub):
    one, _ = servers
    await one.create(config_map("a"))
    hub.down = True
    for refused in (one.create(config_map("b")), one.get(core_v1.ConfigMap, "a", "default"), one.list(core_v1.ConfigMap, "default")):
        with pytest.raises(ServiceUnavailable, match="hub is down"):
            await refused
    answer = await one.transport.request("GET", "/api/v1/namespaces/default/configmaps/a", query={"resourceVersion": "0"})
    assert answer.status == 200
    hub.down = False
    await asyncio.sleep(1.5)
    await one.create(config_map("b"))


async def test_a_write_without_an_answer_is_504(servers, hub):
    hub.lose_answers = 1
    with pytest.raises(Timeout, match="did not say"):
        await servers[0].create(config_map("a"))
    await asyncio.sleep(1.5)
    assert await servers[0].get(core_v1.ConfigMap, "a", "default")
