"""Drivers do what claims and pods ask for: volumes made, attached, grown and deleted; one agent acts, and failures are told."""

import asyncio
from functools import partial

import pytest

from bareboat.contracts import csi
from bareboat.controllers.storage.attacher import Attacher
from bareboat.controllers.storage.capacity import Capacities
from bareboat.controllers.storage.provisioner import Provisioner
from bareboat.controllers.storage.resizer import Resizer
from bareboat.controllers.storage.seat import Seat
from bareboat.controllers.volumes.attach import AttachDetachController
from bareboat.controllers.volumes.binder import PersistentVolumeBinder
from bareboat.controllers.volumes.protection import ClaimProtectionController, VolumeProtectionController
from bareboat.models import core_v1, storage_v1
from bareboat.testing.csi_fake import NODE, FakeStorage, FakeStorageOptions
from bareboat.testing.host import FakeHost

pytestmark = pytest.mark.virtual_time
Claim, Volume = core_v1.PersistentVolumeClaim, core_v1.PersistentVolume
NAME = FakeStorage.driver_name


@pytest.fixture
def start(bench, tmp_path):
    async def start(options=None, *more, node="n1"):
        driver = FakeStorage(options or FakeStorageOptions(), FakeHost(tmp_path, node_name=node, clock=bench.kernel.clock, threads=False))
        await driver.open()
        info = await driver.node_get_info()
        seat = Seat(driver, node, bench.client, bench.kernel.clock, bench.kernel.ids, info)
        seat.election.leads = True
        acting = [partial(cls, seat=seat) for cls in (Provisioner, Attacher, Resizer, Capacities)]
        for name in ("n1", "n2"):
            labels = {NODE: name}
            await bench.create(core_v1.Node, {"metadata": {"name": name, "labels": labels}})
            entry = {"name": NAME, "nodeID": f"fake-{name}", "topologyKeys": list(info.topology)}
            await bench.create(storage_v1.CSINode, {"metadata": {"name": name}, "spec": {"drivers": [entry]}})
        await bench.start(PersistentVolumeBinder, ClaimProtectionController, VolumeProtectionController, AttachDetachController, *acting)
        return driver

    return start


async def storage_class(bench, **fields):
    wanted = {
        "metadata": {"name": "fake"},
        "provisioner": NAME,
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
    await bench.create(storage_v1.StorageClass, {**wanted, **fields})


async def claim(bench, name="c", size="1Gi", **fields):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "fake"}
    await bench.create(Claim, {"metadata": {"name": name}, "spec": {**spec, **fields}})


async def pod(bench, name="p", node="n1", claim="c"):
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    await bench.create(core_v1.Pod, {"metadata": {"name": name}, "spec": spec})


def bound(bench, name="c"):
    async def holds():
        return (await bench.get(Claim, name)).status.phase == "Bound"

    return holds


async def told(bench, reason):
    return [e.message for e in (await bench.client.list(core_v1.Event, "default")).items if e.reason == reason]


async def attachments(bench):
    return {a.spec.nodeName: a.status for a in (await bench.client.list(storage_v1.VolumeAttachment)).items}


async def test_a_claim_gets_a_volume_and_the_volume_goes_with_it(bench, start):
    driver = await start()
    await storage_class(bench, parameters={"slow": "0.5", "csi.storage.k8s.io/fstype": "ext4"}, mountOptions=["noatime"])
    await claim(bench)
    await bench.until(bound(bench))
    found = (await bench.client.list(Volume)).items[0]
    assert found.metadata.name == f"pvc-{(await bench.get(Claim, 'c')).metadata.uid}"
    assert (found.spec.csi.driver, found.spec.csi.fsType, found.spec.mountOptions) == (NAME, "ext4", ["noatime"])
    assert (found.spec.capacity, found.spec.persistentVolumeReclaimPolicy, found.spec.nodeAffinity) == ({"storage": "1Gi"}, "Delete", None)
    assert found.metadata.annotations["pv.kubernetes.io/provisioned-by"] == NAME
    await bench.client.delete(Claim, "c", "default")

    async def gone():
        return not (await bench.client.list(Volume)).items and (await driver.list_volumes()) == csi.VolumePage()

    await bench.until(gone)


async def test_a_driver_that_fails_is_asked_again_and_its_reason_told(bench, start):
    await start()
    await storage_class(bench, parameters={"fail": "create_volume:Unavailable:2"})
    await claim(bench)
    await bench.until(bound(bench))
    assert any("Unavailable: create_volume fails as it was told to" in m for m in await told(bench, "ProvisioningFailed"))
    assert len((await bench.client.list(Volume)).items) == 1


async def test_a_volume_waits_for_the_node_and_comes_from_its_agent(bench, start):
    driver = await start(FakeStorageOptions(scope="node"))
    await storage_class(bench, volumeBindingMode="WaitForFirstConsumer")
    await claim(bench)
    await asyncio.sleep(5)
    assert (await driver.list_volumes()).entries == ()
    change = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n2"}}}
    await bench.client.patch(Claim, "c", change, "default")
    await asyncio.sleep(20)
    assert (await driver.list_volumes()).entries == ()  # another agent's
    change["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = "n1"
    await bench.client.patch(Claim, "c", change, "default")
    await bench.until(bound(bench))
    terms = (await bench.client.list(Volume)).items[0].spec.nodeAffinity.required.nodeSelectorTerms
    assert [(e.key, e.values) for e in terms[0].matchExpressions] == [(NODE, ["n1"])]


async def test_a_node_without_room_is_given_up(bench, start):
    await start(FakeStorageOptions(scope="node", capacity=1 << 20))
    await storage_class(bench, volumeBindingMode="WaitForFirstConsumer")
    await claim(bench)
    await bench.client.patch(Claim, "c", {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n1"}}}, "default")

    async def given_up():
        return "volume.kubernetes.io/selected-node" not in (await bench.get(Claim, "c")).metadata.annotations

    await bench.until(given_up)
    assert any(
        m.startswith('failed to provision volume with StorageClass "fake": Exhausted') for m in await told(bench, "ProvisioningFailed")
    )


async def test_a_volume_that_is_in_use_is_deleted_later_and_one_to_be_kept_never(bench, start):
    driver = await start()
    await storage_class(bench)
    await claim(bench)
    await bench.until(bound(bench))
    volume = (await bench.client.list(Volume)).items[0]
    await driver.controller_publish_volume(volume.spec.csi.volumeHandle, "fake-n9", csi.VolumeCapability())
    await bench.client.delete(Claim, "c", "default")
    await asyncio.sleep(5)
    assert (await bench.get(Volume, volume.metadata.name)).status.phase == "Released"
    await bench.client.patch(Volume, volume.metadata.name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    await driver.controller_unpublish_volume(volume.spec.csi.volumeHandle)
    await asyncio.sleep(20)
    assert len((await driver.list_volumes()).entries) == 1
    await bench.client.delete(Volume, volume.metadata.name)
    await asyncio.sleep(5)
    assert await bench.exists(Volume, volume.metadata.name) is None
    assert len((await driver.list_volumes()).entries) == 1


async def test_a_volume_is_attached_for_a_pod_and_stays_while_the_node_uses_it(bench, start):
    await start()
    await storage_class(bench)
    await claim(bench)
    await bench.until(bound(bench))
    handle = (await bench.client.list(Volume)).items[0].spec.csi.volumeHandle
    await pod(bench)

    async def attached():
        return (await attachments(bench)).get("n1") == storage_v1.VolumeAttachmentStatus(
            attached=True, attachmentMetadata={"device": f"/dev/{handle}"}
        )

    await bench.until(attached)
    used = [f"kubernetes.io/csi/{NAME}^{handle}"]
    await bench.client.patch(core_v1.Node, "n1", {"status": {"volumesInUse": used}}, subresource="status")
    await bench.client.delete(core_v1.Pod, "p", "default", grace_seconds=0)
    await pod(bench, "q", "n2")
    await asyncio.sleep(10)
    assert list(await attachments(bench)) == ["n1"]
    assert any("Multi-Attach error" in m for m in await told(bench, "FailedAttachVolume"))
    await bench.client.patch(core_v1.Node, "n1", {"status": {"volumesInUse": []}}, subresource="status")

    async def moved():
        found = await attachments(bench)
        return list(found) == ["n2"] and found["n2"].attached

    await bench.until(moved)


async def test_an_attachment_that_somebody_else_made_is_left_alone(bench, start):
    await start()
    spec = {"attacher": "other.example", "nodeName": "n1", "source": {"persistentVolumeName": "none"}}
    await bench.create(storage_v1.VolumeAttachment, {"metadata": {"name": "theirs"}, "spec": spec})
    await asyncio.sleep(10)
    assert list(await attachments(bench)) == ["n1"]


async def test_a_failed_attachment_says_why_and_heals(bench, start):
    await start()
    await storage_class(bench, parameters={"fail": "controller_publish_volume:Unavailable:3"})
    await claim(bench)
    await bench.until(bound(bench))
    await pod(bench)

    async def failed():
        found = (await attachments(bench)).get("n1")
        return found is not None and found.attachError is not None and found.attachError.message.startswith("Unavailable: ")

    async def healed():
        found = (await attachments(bench)).get("n1")
        return found is not None and found.attached and found.attachError is None

    await bench.until(failed)
    await bench.until(healed)


async def test_nothing_is_attached_where_the_driver_says_so(bench, start):
    await start()
    await bench.create(storage_v1.CSIDriver, {"metadata": {"name": NAME}, "spec": {"attachRequired": False}})
    await storage_class(bench)
    await claim(bench)
    await bench.until(bound(bench))
    await pod(bench)
    await asyncio.sleep(10)
    assert await attachments(bench) == {}


async def test_a_claim_that_asks_for_more_grows_its_volume_and_waits_for_the_node(bench, start):
    driver = await start()
    await storage_class(bench, parameters={"fail": "controller_expand_volume:Exhausted:1"})
    await claim(bench)
    await bench.until(bound(bench))
    await bench.client.patch(Claim, "c", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}, "default")

    async def pending():
        return [c.type for c in (await bench.get(Claim, "c")).status.conditions] == ["FileSystemResizePending"]

    await bench.until(pending)
    assert (await bench.client.list(Volume)).items[0].spec.capacity == {"storage": "3Gi"}
    assert (await driver.list_volumes()).entries[0].volume.capacity_bytes == 3 << 30
    assert any("Exhausted" in m for m in await told(bench, "VolumeResizeFailed"))
    assert (await bench.get(Claim, "c")).status.capacity == {"storage": "1Gi"}


async def test_what_is_left_is_told_per_class(bench, start):
    await start(FakeStorageOptions(scope="node", capacity=4 << 30))
    await storage_class(bench)

    async def left():
        found = (await bench.client.list(storage_v1.CSIStorageCapacity)).items
        return [(c.storageClassName, c.capacity, c.nodeTopology.matchLabels) for c in found]

    async def says(wanted):
        return await left() == [("fake", wanted, {NODE: "n1"})]

    await bench.until(partial(says, "4Gi"))
    await claim(bench)  # for no pod: the roomiest node gets it
    await bench.until(bound(bench))
    await bench.until(partial(says, "3Gi"), 100)
    await bench.client.delete(storage_v1.StorageClass, "fake")
    await bench.until(lambda: _empty(bench))


async def _empty(bench):
    return not (await bench.client.list(storage_v1.CSIStorageCapacity)).items


async def test_one_agent_leads_and_another_takes_over(bench, tmp_path):
    driver = FakeStorage(FakeStorageOptions(), FakeHost(tmp_path, clock=bench.kernel.clock, threads=False))
    first, second = (Seat(driver, n, bench.client, bench.kernel.clock, bench.kernel.ids, csi.NodeInfo(node_id=n)) for n in ("n1", "n2"))
    running = asyncio.ensure_future(first.run())
    await asyncio.sleep(1)
    other = asyncio.ensure_future(second.run())
    await asyncio.sleep(60)
    assert (first.leads, second.leads) == (True, False)
    running.cancel()
    for _ in range(80):
        assert not (first.leads and second.leads)
        await asyncio.sleep(0.5)
    assert (first.leads, second.leads) == (False, True)
    other.cancel()
