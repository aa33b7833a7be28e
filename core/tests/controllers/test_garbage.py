"""What has lost its owners goes, in the order that its owners' deletion asks for."""

import asyncio

import pytest

from bareboat.controllers.garbage import GarbageCollector
from bareboat.models import apiextensions_v1, core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import NotFound

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def garbage(bench):
    await bench.start(GarbageCollector)
    return bench


async def owned(garbage, name, *owners, **more):
    """A configuration map, perhaps of others."""
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": o.metadata.name, "uid": o.metadata.uid, "blockOwnerDeletion": True, **more}
        for o in owners
    ]
    tree = {"metadata": {"name": name, "namespace": "default", "ownerReferences": references}}
    return await garbage.client.create(from_tree(core_v1.ConfigMap, tree))


def maps_left(garbage, *names):
    async def holds():
        found = {m.metadata.name for m in (await garbage.client.list(core_v1.ConfigMap, "default")).items}
        return found & {"a", "b", "c"} == set(names)

    return holds


async def test_a_circle_of_owners_does_not_wait_for_itself(garbage):
    first = await owned(garbage, "a")
    third = await owned(garbage, "c", await owned(garbage, "b", first))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": third.metadata.uid, "blockOwnerDeletion": True}
    await garbage.client.patch(core_v1.ConfigMap, "a", {"metadata": {"ownerReferences": [reference]}}, "default")
    await garbage.client.delete(core_v1.ConfigMap, "a", "default", propagation="Foreground")
    await garbage.until(maps_left(garbage))


async def test_the_owner_that_is_left_is_still_the_controller(garbage):
    stays = await owned(garbage, "a")
    goes = await owned(garbage, "b")
    await owned(garbage, "c", goes)
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": goes.metadata.uid},
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": stays.metadata.uid, "controller": True},
    ]
    await garbage.client.patch(core_v1.ConfigMap, "c", {"metadata": {"ownerReferences": references}}, "default")
    await garbage.client.delete(core_v1.ConfigMap, "b", "default")

    async def let_go():
        return len((await garbage.client.get(core_v1.ConfigMap, "c", "default")).metadata.ownerReferences) == 1

    await garbage.until(let_go)
    (kept,) = (await garbage.client.get(core_v1.ConfigMap, "c", "default")).metadata.ownerReferences
    assert (kept.name, kept.controller) == ("a", True)


async def test_what_has_lost_an_owner_of_a_kind_that_was_not_served_goes_once_it_is(garbage):
    owner = {"apiVersion": "example.com/v1", "kind": "Boat", "name": "gone", "uid": "1"}
    await garbage.client.create(
        from_tree(core_v1.ConfigMap, {"metadata": {"name": "left", "namespace": "default", "ownerReferences": [owner]}})
    )
    await asyncio.sleep(30)
    assert (await garbage.client.get(core_v1.ConfigMap, "left", "default")).metadata.uid
    schema = {"openAPIV3Schema": {"type": "object"}}
    definition = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    await garbage.client.create(
        from_tree(apiextensions_v1.CustomResourceDefinition, {"metadata": {"name": "boats.example.com"}, "spec": definition})
    )

    async def gone():
        try:
            await garbage.client.get(core_v1.ConfigMap, "left", "default")
        except NotFound:
            return True
        return False

    await garbage.until(gone)
