"""Pods run where their volumes are or can be had, and claims that wait for a pod get theirs first."""

import asyncio

import pytest

from bareboat.controllers.volumes.binder import PersistentVolumeBinder
from bareboat.models import core_v1, storage_v1

pytestmark = pytest.mark.virtual_time
Claim, Volume = core_v1.PersistentVolumeClaim, core_v1.PersistentVolume


async def storage_class(world, name="late", mode="WaitForFirstConsumer", provisioner="kubernetes.io/no-provisioner", **more):
    await world.create(storage_v1.StorageClass, {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode, **more})


async def claim(world, name="c", storage_class="late", mode="ReadWriteOnce", **meta):
    spec = {"accessModes": [mode], "storageClassName": storage_class, "resources": {"requests": {"storage": "1Gi"}}}
    await world.create(Claim, {"metadata": {"name": name, **meta}, "spec": spec})


async def volume(world, name, node="", storage_class="late", mode="ReadWriteOnce", labels=None, **source):
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": [mode],
        "storageClassName": storage_class,
        **(source or {"hostPath": {"path": "/v"}}),
    }
    if node:
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    await world.create(Volume, {"metadata": {"name": name, "labels": labels or {}}, "spec": spec})


def uses(*names):
    return {"volumes": [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": name}} for n, name in enumerate(names)]}


async def start(world, nodes=3):
    for number in range(nodes):
        await world.node(f"n{number}", cpu="8")
    await world.start(PersistentVolumeBinder)


async def test_a_pod_goes_where_its_bound_volume_is(world):
    await start(world)
    await storage_class(world, mode="Immediate")
    await volume(world, "v", node="n2")
    await claim(world)
    await world.pod("p", **uses("c"))
    assert await world.bound("p") == "n2"
    await world.pod("q", nodeSelector={"kubernetes.io/hostname": "n0"}, **uses("c"))
    said = await world.refused("q")
    assert said == (
        "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 2 node(s) didn't match Pod's node "
        "affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )


async def test_a_pod_waits_for_a_claim_that_is_missing_or_unbound(world):
    await start(world, 1)
    await storage_class(world, mode="Immediate")
    await world.pod("p", **uses("c"))
    assert (await world.refused("p")).startswith('0/1 nodes are available: persistentvolumeclaim "c" not found. preemption: 0/1 nodes')
    await claim(world)
    assert "pod has unbound immediate PersistentVolumeClaims." in await world.refused("p", "unbound immediate")
    await volume(world, "v")
    await world.bound("p")


async def test_a_waiting_claim_gets_a_volume_of_the_node_that_is_chosen(world):
    await start(world)
    await storage_class(world)
    await volume(world, "v1", node="n1")
    await volume(world, "v2", node="n2")
    await claim(world, "a")
    await claim(world, "b")
    await world.pod("p", **uses("a", "b"))
    said = await world.refused("p")
    assert "3 node(s) didn't find available persistent volumes to bind" in said
    await volume(world, "w2", node="n2")
    assert await world.bound("p") == "n2"
    bound = {(await world.get(name, Claim)).spec.volumeName for name in ("a", "b")}
    assert bound == {"v2", "w2"}


async def test_two_pods_are_not_promised_the_same_volume(world):
    await storage_class(world)
    await volume(world, "v1", node="n1")
    await volume(world, "v2", node="n2")
    for name in ("a", "b"):
        await claim(world, name)
        await world.pod(f"p{name}", **uses(name))
    await start(world)
    assert {await world.bound("pa"), await world.bound("pb")} == {"n1", "n2"}


async def test_a_volume_is_made_for_the_chosen_node(world):
    await start(world)
    topology = [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["n1"]}]}]
    await storage_class(world, provisioner="disk.example.com", allowedTopologies=topology)
    await claim(world)
    await world.pod("p", **uses("c"))

    async def chosen():
        return (await world.get("c", Claim)).metadata.annotations.get("volume.kubernetes.io/selected-node") == "n1"

    await world.until(chosen)
    await asyncio.sleep(5)
    assert not (await world.get("p")).spec.nodeName
    await volume(world, "made", node="n1")
    assert await world.bound("p") == "n1"


async def test_a_provisioner_that_gives_up_sends_the_pod_back(world):
    await start(world, 1)
    await storage_class(world, provisioner="disk.example.com")
    await claim(world)
    await world.pod("p", **uses("c"))
    key = "volume.kubernetes.io/selected-node"

    async def chosen():
        return key in (await world.get("c", Claim)).metadata.annotations

    await world.until(chosen)
    await asyncio.sleep(1)
    await world.client.patch(Claim, "c", {"metadata": {"annotations": {key: None}}}, "default")

    async def told():
        return any("provisioning failed" in message for _, message in await world.events("FailedScheduling"))

    await world.until(told)
    await world.until(chosen)  # and again


async def test_one_pod_at_a_time_uses_a_claim_for_one_pod(world):
    await start(world)
    await storage_class(world, mode="Immediate")
    await volume(world, "v", mode="ReadWriteOncePod")
    await claim(world, mode="ReadWriteOncePod")
    await world.pod("first", priority=1, **uses("c"))
    node = await world.bound("first")
    await world.pod("second", priority=1, **uses("c"))
    assert "3 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode" in await world.refused("second")
    await world.pod("third", priority=5, **uses("c"))
    assert await world.bound("third") == node
    assert await world.get("first") is None


async def test_a_node_takes_as_many_volumes_as_its_driver_can_attach(world):
    await start(world, 2)
    await storage_class(world, mode="Immediate", provisioner="disk.example.com")
    driver = {"name": "disk.example.com", "nodeID": "x", "allocatable": {"count": 1}}
    for node in ("n0", "n1"):
        await world.create(storage_v1.CSINode, {"metadata": {"name": node}, "spec": {"drivers": [driver]}})
    for name in ("a", "b", "c"):
        await volume(world, f"v{name}", csi={"driver": "disk.example.com", "volumeHandle": name})
        await claim(world, name)
        await world.pod(f"p{name}", **uses(name))
    refused = [name for name in ("pa", "pb", "pc") if not (await asyncio.sleep(5) or await world.get(name)).spec.nodeName]
    assert len(refused) == 1
    assert "2 node(s) exceed max volume count" in await world.refused(refused[0])


async def test_a_volume_of_a_zone_stays_there(world):
    await world.node("west", cpu="8", labels={"topology.kubernetes.io/zone": "w"})
    await world.node("east", cpu="8", labels={"topology.kubernetes.io/zone": "e"})
    await world.start(PersistentVolumeBinder)
    await storage_class(world, mode="Immediate")
    await volume(world, "v", labels={"topology.kubernetes.io/zone": "e"})
    await claim(world)
    await world.pod("p", **uses("c"))
    assert await world.bound("p") == "east"
