"""Rules of what a storage driver may offer beyond making and publishing volumes: mix in those of its capabilities.

What comes in: the ``storage`` fixture of ``csi_suite``. What goes out: one test per rule. That every capability has its rules is a rule.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bareboat.contracts import csi
from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InvalidConfig, NotFound
from bareboat.testing.csi_suite import VolumeSuite
from bareboat.testing.csi_suite_subject import Storage, reads, round_trips, writes


class StagingRules(VolumeSuite):
    rules_of = "staging"

    async def test_staging_three_times_is_once_and_unstaging_too(self, storage: Storage) -> None:
        volume = await storage.create()
        for _ in range(3):
            await storage.stage(volume)
        for _ in range(3):
            await storage.unstage(volume)
        await storage.driver.node_unstage_volume("no-such-volume", str(storage.staging("none")))

    async def test_staging_needs_a_known_volume_a_path_and_a_capability(self, storage: Storage) -> None:
        volume = await storage.create()
        path = str(storage.staging(volume.volume_id))
        with pytest.raises(NotFound):
            await storage.driver.node_stage_volume(
                csi.NodeStage(volume_id="no-such-volume", staging_target_path=path, capability=storage.capability())
            )
        for request in (
            csi.NodeStage(volume_id="", staging_target_path=path, capability=storage.capability()),
            csi.NodeStage(volume_id=volume.volume_id, staging_target_path="", capability=storage.capability()),
            csi.NodeStage(volume_id=volume.volume_id, staging_target_path=path),
        ):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_stage_volume(request)
        for volume_id, where in (("", path), (volume.volume_id, "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_unstage_volume(volume_id, where)

    async def test_a_volume_that_is_not_staged_is_not_published(self, storage: Storage) -> None:
        volume = await storage.create()
        request = csi.NodePublish(volume_id=volume.volume_id, target_path=str(storage.target("x")), capability=storage.capability())
        with pytest.raises(DriverError):
            await storage.driver.node_publish_volume(request)

    async def test_a_published_volume_is_not_unstaged(self, storage: Storage) -> None:
        volume = await storage.create()
        await storage.publish(volume)
        with pytest.raises(DriverError) as caught:
            await storage.driver.node_unstage_volume(volume.volume_id, str(storage.staging(volume.volume_id)))
        assert caught.value.reason == "VolumeInUse"

    async def test_staged_one_way_it_cannot_be_staged_another(self, storage: Storage) -> None:
        volume = await storage.create()
        await storage.stage(volume)
        with pytest.raises((Conflict, InvalidConfig)):
            await storage.stage(volume, capability=csi.VolumeCapability(block=True))


class BlockRules(VolumeSuite):
    """For drivers that make raw devices."""

    async def test_a_block_volume_is_a_device_of_its_size(self, storage: Storage) -> None:
        raw = storage.capability(block=True, fs_type="")
        volume = await storage.create(capabilities=(raw,))
        path = await storage.publish(volume, capability=raw)
        assert stat.S_ISBLK(path.stat().st_mode)
        assert _device_size(path) == volume.capacity_bytes
        with path.open("r+b", buffering=0) as device:
            device.write(b"raw" + bytes(509))
        await storage.unpublish(volume)
        assert not path.exists()
        await storage.unstage(volume)
        again = await storage.publish(volume, "p2", capability=raw)
        assert again.read_bytes()[:3] == b"raw"

    async def test_a_mount_is_no_device_and_a_device_no_mount(self, storage: Storage) -> None:
        raw = storage.capability(block=True, fs_type="")
        await storage.create()
        with pytest.raises(Conflict):
            await storage.create(capabilities=(raw,))
        with pytest.raises(InvalidConfig):
            await storage.create("both", capabilities=(raw, storage.capability()))


def _device_size(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


class CapacityRules(VolumeSuite):
    rules_of = "capacity"

    async def test_capacity_is_told_and_none_for_elsewhere(self, storage: Storage) -> None:
        found = await storage.driver.get_capacity((storage.capability(),), dict(self.parameters))
        assert found.available >= self.size
        assert round_trips(found)
        if storage.offers.topology:
            assert (await storage.driver.get_capacity(topology={"no.such/key": "x"})).available == 0


class SnapshotRules(VolumeSuite):
    rules_of = "snapshots"

    async def test_a_snapshot_three_times_is_one(self, storage: Storage) -> None:
        volume = await storage.create()
        made = [await storage.driver.create_snapshot("snap", volume.volume_id) for _ in range(3)]
        assert made[0] == made[1] == made[2]
        assert (made[0].source_volume_id, made[0].ready_to_use) == (volume.volume_id, True)
        assert made[0].created_at > 1_600_000_000_000_000_000
        assert 0 < made[0].size_bytes <= volume.capacity_bytes
        assert round_trips(made[0])
        other = await storage.create("pvc-2")
        with pytest.raises(Conflict):
            await storage.driver.create_snapshot("snap", other.volume_id)

    async def test_snapshots_need_a_name_and_a_known_volume(self, storage: Storage) -> None:
        volume = await storage.create()
        with pytest.raises(NotFound):
            await storage.driver.create_snapshot("snap", "no-such-volume")
        for name, source in (("", volume.volume_id), ("snap", "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.create_snapshot(name, source)
        with pytest.raises(InvalidConfig):
            await storage.driver.delete_snapshot("")
        await storage.driver.delete_snapshot("no-such-snapshot")

    async def test_a_volume_comes_back_from_its_snapshot(self, storage: Storage) -> None:
        volume = await storage.create()
        path = await storage.publish(volume)
        writes(path, "before")
        snapshot = await storage.driver.create_snapshot("snap", volume.volume_id)
        writes(path, "after")
        source = csi.ContentSource(snapshot_id=snapshot.snapshot_id)
        restored = await storage.create("restored", size=volume.capacity_bytes, source=source)
        assert restored.source == source
        assert reads(await storage.publish(restored, "p2")) == "before"
        with pytest.raises(Conflict):
            await storage.create("restored", size=volume.capacity_bytes)
        for _ in range(3):
            await storage.driver.delete_snapshot(snapshot.snapshot_id)
        assert reads(storage.target("p2")) == "before"

    async def test_a_snapshot_outlives_its_volume_and_the_process(self, storage: Storage) -> None:
        volume = await storage.create()
        snapshot = await storage.driver.create_snapshot("snap", volume.volume_id)
        await storage.driver.delete_volume(volume.volume_id)
        await storage.restart()
        assert (await storage.driver.list_snapshots()).entries == (snapshot,)

    async def test_a_source_must_be_there_and_fit(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            await storage.create(source=csi.ContentSource(snapshot_id="no-such-snapshot"))
        volume = await storage.create("big", size=self.size * 2)
        snapshot = await storage.driver.create_snapshot("snap", volume.volume_id)
        smaller = csi.CapacityRange(required=1, limit=snapshot.size_bytes // 2)
        with pytest.raises((InvalidConfig, Exhausted)):
            await storage.create("small", capacity=smaller, source=csi.ContentSource(snapshot_id=snapshot.snapshot_id))

    async def test_snapshots_are_listed_by_volume_by_id_and_in_pages(self, storage: Storage) -> None:
        first, second = await storage.create("pvc-1"), await storage.create("pvc-2")
        made = [await storage.driver.create_snapshot(f"s{i}", (first, second)[i % 2].volume_id) for i in range(3)]
        everything = (await storage.driver.list_snapshots()).entries
        assert sorted(s.snapshot_id for s in everything) == sorted(s.snapshot_id for s in made)
        assert (await storage.driver.list_snapshots(snapshot_id=made[1].snapshot_id)).entries == (made[1],)
        of_first = (await storage.driver.list_snapshots(source_volume_id=first.volume_id)).entries
        assert {s.snapshot_id for s in of_first} == {made[0].snapshot_id, made[2].snapshot_id}
        for unknown in ({"snapshot_id": "none"}, {"source_volume_id": "none"}):
            assert (await storage.driver.list_snapshots(**unknown)).entries == ()
        page = await storage.driver.list_snapshots(2)
        rest = await storage.driver.list_snapshots(2, page.next_token)
        assert (len(page.entries), len(rest.entries), rest.next_token) == (2, 1, "")
        with pytest.raises(InvalidConfig):
            await storage.driver.list_snapshots(0, "no-such-token")


class CloneRules(VolumeSuite):
    rules_of = "cloning"

    async def test_a_clone_has_the_data_and_a_life_of_its_own(self, storage: Storage) -> None:
        volume = await storage.create()
        path = await storage.publish(volume)
        writes(path, "first")
        source = csi.ContentSource(volume_id=volume.volume_id)
        clone = await storage.create("clone", size=volume.capacity_bytes * 2, source=source)
        assert (clone.source, clone.capacity_bytes >= volume.capacity_bytes * 2) == (source, True)
        copied = await storage.publish(clone, "p2")
        writes(copied, "second")
        assert (reads(path), reads(copied)) == ("first", "second")
        with pytest.raises(NotFound):
            await storage.create("x", source=csi.ContentSource(volume_id="no-such-volume"))


class ExpansionRules(VolumeSuite):
    rules_of = "expansion"

    async def test_a_volume_grows_and_never_shrinks(self, storage: Storage) -> None:
        volume = await storage.create()
        for _ in range(3):
            grown = await storage.driver.controller_expand_volume(volume.volume_id, csi.CapacityRange(required=self.size * 2))
            assert grown.capacity_bytes >= self.size * 2
        again = await storage.driver.controller_expand_volume(volume.volume_id, csi.CapacityRange(required=self.size))
        assert again.capacity_bytes >= self.size * 2
        await storage.restart()
        if storage.offers.listing:
            assert (await storage.listed())[volume.volume_id].capacity_bytes >= self.size * 2

    async def test_growing_needs_a_known_volume_and_room(self, storage: Storage) -> None:
        volume = await storage.create()
        with pytest.raises(NotFound):
            await storage.driver.controller_expand_volume("no-such-volume", csi.CapacityRange(required=self.size))
        for volume_id, wanted in (("", csi.CapacityRange(required=1)), (volume.volume_id, csi.CapacityRange())):
            with pytest.raises(InvalidConfig):
                await storage.driver.controller_expand_volume(volume_id, wanted)
        with pytest.raises((Exhausted, InvalidConfig)):
            await storage.driver.controller_expand_volume(volume.volume_id, csi.CapacityRange(required=self.impossible))


class NodeExpansionRules(VolumeSuite):
    rules_of = "node_expansion"

    async def test_what_is_mounted_grows_in_use(self, storage: Storage) -> None:
        volume = await storage.create()
        path = await storage.publish(volume)
        writes(path, "kept")
        before = os.statvfs(path).f_blocks
        wanted = csi.CapacityRange(required=self.size * 4)
        await storage.driver.controller_expand_volume(volume.volume_id, wanted)
        for _ in range(3):
            assert await storage.driver.node_expand_volume(volume.volume_id, str(path), wanted) >= self.size * 4
        assert os.statvfs(path).f_blocks > before or not self.grows_file_systems
        assert reads(path) == "kept"

    grows_file_systems = True

    async def test_only_what_is_there_grows(self, storage: Storage) -> None:
        volume = await storage.create()
        path = await storage.publish(volume)
        wanted = csi.CapacityRange(required=self.size)
        for volume_id, where in (("no-such-volume", str(path)), (volume.volume_id, "/no/such/path")):
            with pytest.raises(NotFound):
                await storage.driver.node_expand_volume(volume_id, where, wanted)
        for volume_id, where in (("", str(path)), (volume.volume_id, "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_expand_volume(volume_id, where, wanted)


class StatsRules(VolumeSuite):
    rules_of = "stats"

    async def test_usage_adds_up(self, storage: Storage) -> None:
        volume = await storage.create()
        found = await storage.driver.node_get_volume_stats(volume.volume_id, str(await storage.publish(volume)))
        assert found.total_bytes > 0
        assert 0 <= found.used_bytes + found.available_bytes <= found.total_bytes
        assert found.total_inodes >= found.used_inodes >= 0
        assert round_trips(found)

    async def test_only_what_is_there_has_usage(self, storage: Storage) -> None:
        volume = await storage.create()
        path = str(await storage.publish(volume))
        for volume_id, where in (("no-such-volume", path), (volume.volume_id, "/no/such/path")):
            with pytest.raises(NotFound):
                await storage.driver.node_get_volume_stats(volume_id, where)
        for volume_id, where in (("", path), (volume.volume_id, "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_get_volume_stats(volume_id, where)


class AttachingRules(VolumeSuite):
    rules_of = "attaching"

    async def test_a_volume_is_attached_once_and_let_go(self, storage: Storage) -> None:
        volume, node = await storage.create(), (await storage.driver.node_get_info()).node_id
        answers = [await storage.driver.controller_publish_volume(volume.volume_id, node, storage.capability()) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        with pytest.raises(Conflict):
            await storage.driver.controller_publish_volume(volume.volume_id, node, storage.capability(), readonly=True)
        for _ in range(3):
            await storage.driver.controller_unpublish_volume(volume.volume_id, node)
        await storage.driver.controller_unpublish_volume("no-such-volume", node)

    async def test_attaching_needs_a_known_volume_and_node(self, storage: Storage) -> None:
        volume, node = await storage.create(), (await storage.driver.node_get_info()).node_id
        for volume_id, node_id in (("no-such-volume", node), (volume.volume_id, "no-such-node")):
            with pytest.raises(NotFound):
                await storage.driver.controller_publish_volume(volume_id, node_id, storage.capability())
        for volume_id, node_id in (("", node), (volume.volume_id, "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.controller_publish_volume(volume_id, node_id, storage.capability())
        with pytest.raises(InvalidConfig):
            await storage.driver.controller_unpublish_volume("", node)


class ModifyingRules(VolumeSuite):
    rules_of = "modifying"
    #: What can be changed, and to what.
    mutable = {"speed": "fast"}

    async def test_what_may_change_changes(self, storage: Storage) -> None:
        volume = await storage.create()
        for _ in range(3):
            await storage.driver.controller_modify_volume(volume.volume_id, dict(self.mutable))
        with pytest.raises(NotFound):
            await storage.driver.controller_modify_volume("no-such-volume", dict(self.mutable))
        if self.checks_parameters:
            with pytest.raises(InvalidConfig):
                await storage.driver.controller_modify_volume(volume.volume_id, {"no-such-parameter": "x"})


class EphemeralRules(VolumeSuite):
    rules_of = "ephemeral"

    async def test_an_inline_volume_comes_and_goes_with_its_pod(self, storage: Storage) -> None:
        volume = csi.Volume(volume_id="csi-inline", context={csi.EPHEMERAL: "true", csi.POD_NAME: "web", **self.inline})
        path = storage.target("p1")
        request = csi.NodePublish(
            volume_id=volume.volume_id, target_path=str(path), capability=storage.capability(), volume_context=volume.context
        )
        for _ in range(3):
            await storage.driver.node_publish_volume(request)
        writes(path, "mine")
        await storage.restart()
        assert reads(path) == "mine"
        if storage.offers.listing:
            assert await storage.listed() == {}
        for _ in range(3):
            await storage.driver.node_unpublish_volume(volume.volume_id, str(path))
        assert not path.exists()
        await storage.driver.node_publish_volume(request)
        assert not (path / "data").exists()
        await storage.driver.node_unpublish_volume(volume.volume_id, str(path))

    inline: dict[str, str] = {}
