"""Volumes and claims find each other, part again, and are kept while in use."""

import asyncio

import pytest

from bareboat.controllers.volumes.binder import PersistentVolumeBinder
from bareboat.controllers.volumes.protection import ClaimProtectionController, VolumeProtectionController
from bareboat.models import core_v1, storage_v1

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world(bench):
    await bench.start(PersistentVolumeBinder, ClaimProtectionController, VolumeProtectionController)
    return bench


async def volume(world, name="v", size="5Gi", storage_class="slow", policy="Retain", **spec):
    wanted = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": storage_class}
    source = {"hostPath": {"path": "/srv"}, "persistentVolumeReclaimPolicy": policy}
    await world.create(core_v1.PersistentVolume, {"metadata": {"name": name, "labels": {"v": name}}, "spec": {**wanted, **source, **spec}})


async def claim(world, name="c", size="2Gi", storage_class="slow", **spec):
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        wanted["storageClassName"] = storage_class
    await world.create(core_v1.PersistentVolumeClaim, {"metadata": {"name": name}, "spec": {**wanted, **spec}})


def phases(world, claim_phase, volume_phase, claim_name="c", volume_name="v"):
    async def holds():
        found, made = (
            await world.exists(core_v1.PersistentVolumeClaim, claim_name),
            await world.exists(core_v1.PersistentVolume, volume_name),
        )
        return (found.status.phase if found else None, made.status.phase if made else None) == (claim_phase, volume_phase)

    return holds


async def test_a_claim_gets_the_smallest_volume_that_fits(world):
    for name, size in (("big", "9Gi"), ("small", "1Gi"), ("v", "3Gi"), ("other", "3Gi")):
        await volume(world, name, size, "fast" if name == "other" else "slow")
    await claim(world)
    await world.until(phases(world, "Bound", "Bound"))
    found, made = await world.get(core_v1.PersistentVolumeClaim, "c"), await world.get(core_v1.PersistentVolume, "v")
    assert (found.spec.volumeName, found.status.capacity, found.status.accessModes) == ("v", {"storage": "3Gi"}, ["ReadWriteOnce"])
    assert found.metadata.annotations["pv.kubernetes.io/bind-completed"] == "yes"
    assert made.spec.claimRef.uid == found.metadata.uid
    assert made.metadata.annotations == {"pv.kubernetes.io/bound-by-controller": "yes"}


async def test_a_claim_waits_for_a_volume(world):
    await claim(world, selector={"matchLabels": {"v": "v"}})
    await volume(world, "x")
    await asyncio.sleep(5)
    assert (await world.get(core_v1.PersistentVolumeClaim, "c")).status.phase == "Pending"
    await volume(world)
    await world.until(phases(world, "Bound", "Bound"))
    assert (await world.get(core_v1.PersistentVolume, "x")).status.phase == "Available"


async def test_a_reserved_volume_goes_to_its_claim_only(world):
    await volume(world, claimRef={"namespace": "default", "name": "c"})
    await claim(world, "other")
    await asyncio.sleep(2)
    assert (await world.get(core_v1.PersistentVolumeClaim, "other")).status.phase == "Pending"
    await claim(world)
    await world.until(phases(world, "Bound", "Bound"))


@pytest.mark.parametrize(("policy", "phase"), [("Retain", "Released"), ("Delete", "Failed")])
async def test_a_volume_is_released_with_its_claim(world, policy, phase):
    await volume(world, policy=policy)
    await claim(world)
    await world.until(phases(world, "Bound", "Bound"))
    await world.client.delete(core_v1.PersistentVolumeClaim, "c", "default")
    await world.until(phases(world, None, phase))
    await world.client.delete(core_v1.PersistentVolume, "v")
    await world.until(phases(world, None, None))


async def test_a_claim_whose_volume_went_is_lost(world):
    await volume(world)
    await claim(world)
    await world.until(phases(world, "Bound", "Bound"))
    await world.client.delete(core_v1.PersistentVolume, "v")
    await asyncio.sleep(2)
    kept = await world.get(core_v1.PersistentVolume, "v")
    assert kept.metadata.finalizers == ["kubernetes.io/pv-protection"]
    await world.client.patch(core_v1.PersistentVolume, "v", {"metadata": {"finalizers": None}})
    await world.until(phases(world, "Lost", None))
    assert "ClaimLost" in await world.reasons()


async def test_a_claim_stays_while_a_pod_uses_it(world):
    await volume(world)
    await claim(world)
    await world.until(phases(world, "Bound", "Bound"))
    source = {"name": "d", "persistentVolumeClaim": {"claimName": "c"}}
    await world.create(
        core_v1.Pod, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "host"}], "volumes": [source]}}
    )
    await asyncio.sleep(3)
    await world.client.delete(core_v1.PersistentVolumeClaim, "c", "default")
    await asyncio.sleep(3)
    assert await world.exists(core_v1.PersistentVolumeClaim, "c")
    await world.client.delete(core_v1.Pod, "p", "default")
    await world.until(phases(world, None, "Released"))


async def test_classes_say_who_makes_volumes_and_when(world):
    meta = {"name": "std", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    await claim(world, storage_class=None)
    await world.create(storage_v1.StorageClass, {"metadata": meta, "provisioner": "example.com/disk"})
    late = {"metadata": {"name": "late"}, "provisioner": "example.com/disk", "volumeBindingMode": "WaitForFirstConsumer"}
    await world.create(storage_v1.StorageClass, late)
    await claim(world, "w", storage_class="late")
    await asyncio.sleep(3)
    found = await world.get(core_v1.PersistentVolumeClaim, "c")
    assert found.spec.storageClassName == "std"
    assert found.metadata.annotations["volume.kubernetes.io/storage-provisioner"] == "example.com/disk"
    assert {"ExternalProvisioning", "WaitForFirstConsumer"} <= await world.reasons()
