"""What has lost its owners goes, in the order that its owners' deletion asks for."""

import asyncio

import pytest

from bareboat.api.request import ApiRequest
from bareboat.controllers.garbage import GarbageCollector
from bareboat.models import apiextensions_v1, batch_v1, core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import NotFound
from bareboat.testing.kernel import ADMIN

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


TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
REPEATED = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Always"}}


@pytest.mark.parametrize(
    ("cls", "version", "spec"),
    [
        (batch_v1.Job, "batch/v1", {"template": TEMPLATE}),
        (core_v1.ReplicationController, "v1", {"selector": {"app": "a"}, "template": REPEATED}),
    ],
    ids=["job", "replication controller"],
)
@pytest.mark.parametrize(("policy", "stays"), [("", True), ("Orphan", True), ("Background", False), ("Foreground", False)])
async def test_jobs_and_replication_controllers_leave_their_pods_unless_asked_to_take_them(garbage, cls, version, spec, policy, stays):
    """As core/v1 and batch/v1 have always done."""
    owner = await garbage.client.create(from_tree(cls, {"metadata": {"name": "owner", "namespace": "default"}, "spec": spec}))
    reference = {"apiVersion": version, "kind": cls.__name__, "name": "owner", "uid": owner.metadata.uid, "controller": True}
    tree = {"metadata": {"name": "a", "namespace": "default", "ownerReferences": [reference]}}
    await garbage.client.create(from_tree(core_v1.ConfigMap, tree))
    await garbage.client.delete(cls, "owner", "default", propagation=policy)

    async def over():
        owners = (await garbage.client.list(cls, "default")).items
        left = [m for m in (await garbage.client.list(core_v1.ConfigMap, "default")).items if m.metadata.name == "a"]
        return not owners and (left == [] if not stays else left[0].metadata.ownerReferences == [])

    await garbage.until(over)


async def test_who_deletes_a_job_without_a_policy_is_warned_that_its_pods_stay(garbage):
    tree = {"metadata": {"name": "owner", "namespace": "default"}, "spec": {"template": TEMPLATE}}
    path = "/apis/batch/v1/namespaces/default/jobs"

    async def warnings(path, **query):
        await garbage.client.create(from_tree(batch_v1.Job, tree))
        answer = await garbage.kernel.service.handle(ApiRequest(ADMIN, "DELETE", path, query={k: [v] for k, v in query.items()}))

        async def gone():
            return not (await garbage.client.list(batch_v1.Job, "default")).items

        await garbage.until(gone)
        return answer.warnings

    for one in (f"{path}/owner", path):
        (said,) = await warnings(one)
        assert said.startswith("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background")
        assert await warnings(one, propagationPolicy="Background") == []
