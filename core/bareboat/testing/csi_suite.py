"""The conformance suite of the storage contract: subclass, return a factory, and every rule is tested.

What comes in: a subclass of ``VolumeSuite`` with a factory, and the rule classes of what the driver offers beyond publishing. What goes
out: one test per rule of ``contracts.csi``; among them are the checks of upstream's csi-sanity. The optional verbs are in
``csi_suite_features``::

    class TestMyVolumes(ProvisioningRules, ListingRules, StagingRules, VolumeSuite):
        def make_driver(self, host):
            return MyVolumes(MyVolumes.Options(), host)
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from bareboat.contracts import csi
from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InProgress, InvalidConfig, NotFound
from bareboat.plugins.checks import driver_faults
from bareboat.testing.cri_suite_subject import settled
from bareboat.testing.csi_suite_subject import Storage, VolumeSubject, reads, round_trips, writes

__all__ = ["ListingRules", "ProvisioningRules", "Storage", "VolumeSubject", "VolumeSuite"]
READ_ONLY = csi.VolumeCapability(access_mode="SINGLE_NODE_READER_ONLY")


class VolumeSuite(VolumeSubject):
    """Rules of what every driver is."""

    #: The flag of ``Capabilities`` that a rule class is about.
    rules_of: str = ""

    async def test_the_class_is_sound(self, storage: Storage) -> None:
        assert driver_faults(csi.GROUP, type(storage.driver)) == []
        assert storage.driver.driver_name, "a driver has a name that StorageClasses call it"

    async def test_what_is_offered_is_implemented_and_tested(self, storage: Storage) -> None:
        offered = {flag for flag in csi.MIXINS if getattr(storage.offers, flag)}
        missing = {flag for flag in offered if not isinstance(storage.driver, csi.MIXINS[flag])}
        assert not missing, f"capabilities without their mixin: {missing}"
        tested = {vars(cls).get("rules_of", "") for cls in type(self).__mro__}
        wanted = {f for f in (*csi.MIXINS, "cloning", "ephemeral") if getattr(storage.offers, f)}
        assert wanted <= tested, f"capabilities without their rules: {wanted - tested}"

    async def test_it_is_well_and_says_who_it_is(self, storage: Storage) -> None:
        assert (await storage.driver.status()).ready
        info = await storage.driver.node_get_info()
        assert info.node_id
        assert len(info.node_id) <= 256
        assert bool(info.topology) == storage.offers.topology
        assert info.max_volumes >= 0
        assert round_trips(info)
        await storage.restart()
        assert await storage.driver.node_get_info() == info

    async def test_open_and_close_may_come_twice(self, storage: Storage) -> None:
        await storage.driver.open()
        await storage.driver.close()
        await storage.driver.close()
        await storage.driver.open()

    async def test_publishing_needs_a_volume_a_path_and_a_capability(self, storage: Storage) -> None:
        good = csi.NodePublish(volume_id="v", target_path=str(storage.target("x")), capability=storage.capability())
        for field, value in (("volume_id", ""), ("target_path", ""), ("capability", None)):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_publish_volume(_but(good, field, value))
        for volume_id, path in (("", "/x"), ("v", "")):
            with pytest.raises(InvalidConfig):
                await storage.driver.node_unpublish_volume(volume_id, path)

    async def test_an_unknown_volume_cannot_be_published_but_unpublished(self, storage: Storage) -> None:
        staging = str(storage.staging("none")) if storage.offers.staging else ""
        request = csi.NodePublish(
            volume_id="no-such-volume", target_path=str(storage.target("x")), staging_target_path=staging, capability=storage.capability()
        )
        with pytest.raises(NotFound):
            await storage.driver.node_publish_volume(request)
        await storage.driver.node_unpublish_volume("no-such-volume", str(storage.target("x")))


def _but(request: csi.NodePublish, field: str, value: object) -> csi.NodePublish:
    return msgspec.structs.replace(request, **{field: value})


class ProvisioningRules(VolumeSuite):
    """Volumes made and deleted, and published where they are."""

    rules_of = "provisioning"

    async def test_a_volume_three_times_is_one(self, storage: Storage) -> None:
        made = [await storage.create() for _ in range(3)]
        assert made[0] == made[1] == made[2]
        assert made[0].volume_id
        assert made[0].capacity_bytes >= self.size
        assert bool(made[0].topology) == storage.offers.topology
        assert round_trips(made[0])
        assert (await storage.create("pvc-2")).volume_id != made[0].volume_id

    async def test_one_name_with_another_size_is_a_conflict(self, storage: Storage) -> None:
        made = await storage.create()
        with pytest.raises(Conflict):
            await storage.create(size=made.capacity_bytes * 2)
        with pytest.raises(Conflict):
            await storage.create(capacity=csi.CapacityRange(required=1, limit=self.size // 2))
        assert await storage.create(capacity=csi.CapacityRange(required=1)) == made

    async def test_a_request_without_sense_is_an_invalid_config(self, storage: Storage) -> None:
        for request in (
            storage.request(name=""),
            storage.request(capabilities=()),
            storage.request(capacity=csi.CapacityRange(required=-1)),
            storage.request(capacity=csi.CapacityRange(required=self.size * 2, limit=self.size)),
        ):
            with pytest.raises(InvalidConfig):
                await storage.driver.create_volume(request)

    async def test_an_unknown_parameter_is_an_invalid_config(self, storage: Storage) -> None:
        if self.checks_parameters:
            with pytest.raises(InvalidConfig):
                await storage.create(parameters={"no-such-parameter": "x"})

    async def test_more_than_there_is_is_exhausted(self, storage: Storage) -> None:
        with pytest.raises((Exhausted, InvalidConfig)):
            await storage.create(size=self.impossible)
        await storage.create()

    async def test_names_are_any_text(self, storage: Storage) -> None:
        names = ["../up", "a/b", "с пробелами", "x" * 128, "-rf"]
        assert len({(await storage.create(name)).volume_id for name in names}) == len(names)

    async def test_deleting_three_times_or_what_is_unknown_succeeds(self, storage: Storage) -> None:
        made = await storage.create()
        for _ in range(3):
            await settled(lambda: storage.driver.delete_volume(made.volume_id))
        await storage.driver.delete_volume("no-such-volume")
        with pytest.raises(InvalidConfig):
            await storage.driver.delete_volume("")

    async def test_a_name_is_free_again_when_its_volume_is_gone(self, storage: Storage) -> None:
        made = await storage.create()
        await storage.driver.delete_volume(made.volume_id)
        assert (await storage.create(size=self.size * 2)).capacity_bytes >= self.size * 2

    async def test_what_a_volume_can_do_is_confirmed_or_denied(self, storage: Storage) -> None:
        made = await storage.create()
        assert (await storage.driver.validate_volume_capabilities(made.volume_id, (storage.capability(),))).confirmed
        denied = await storage.driver.validate_volume_capabilities(made.volume_id, (storage.capability(), self.unsupported))
        assert not denied.confirmed
        assert denied.message
        with pytest.raises(NotFound):
            await storage.driver.validate_volume_capabilities("no-such-volume", (storage.capability(),))
        for volume_id, capabilities in (("", (storage.capability(),)), (made.volume_id, ())):
            with pytest.raises(InvalidConfig):
                await storage.driver.validate_volume_capabilities(volume_id, capabilities)

    async def test_calls_at_once_on_one_name_make_one_volume(self, storage: Storage) -> None:
        results = await asyncio.gather(*(storage.create() for _ in range(5)), return_exceptions=True)
        assert all(isinstance(r, csi.Volume | InProgress) for r in results), results
        assert len({r.volume_id for r in results if isinstance(r, csi.Volume)}) <= 1
        made = await settled(storage.create)
        assert {r.volume_id for r in results if isinstance(r, csi.Volume)} <= {made.volume_id}

    async def test_calls_at_once_on_different_names_do_not_meet(self, storage: Storage) -> None:
        made = await asyncio.gather(*(storage.create(f"pvc-{i}") for i in range(4)))
        assert len({v.volume_id for v in made}) == 4

    async def test_a_cancelled_create_can_be_repeated_and_undone(self, storage: Storage) -> None:
        for pause in (0.0, 0.002, 0.02):
            task = asyncio.ensure_future(storage.create("cut"))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            made = await settled(lambda: storage.create("cut"))
            await settled(lambda v=made: storage.driver.delete_volume(v.volume_id))  # type: ignore[misc]

    async def test_volumes_outlive_the_process(self, storage: Storage) -> None:
        made = await storage.create()
        await storage.restart()
        assert await storage.create() == made

    async def test_what_is_written_stays_through_pods_and_restarts(self, storage: Storage) -> None:
        volume = await storage.create()
        for _ in range(3):
            path = await storage.publish(volume)
        assert path.is_dir()
        writes(path, "kept")
        await storage.restart()
        assert reads(path) == "kept"
        await storage.unpublish(volume)
        await storage.unpublish(volume)
        assert not path.exists()
        await storage.unstage(volume)
        await storage.unstage(volume)
        assert reads(await storage.publish(volume, "p2")) == "kept"

    async def test_two_pods_share_a_volume_and_one_may_only_read(self, storage: Storage) -> None:
        volume = await storage.create()
        first, second = await storage.publish(volume, "p1"), await storage.publish(volume, "p2", readonly=True)
        writes(first, "shared")
        assert reads(second) == "shared"
        if self.enforces_readonly:
            with pytest.raises(OSError, match="Read-only"):
                writes(second, "no")
        with pytest.raises(Conflict):
            await storage.publish(volume, "p2", readonly=False)

    enforces_readonly = True

    async def test_two_volumes_are_two(self, storage: Storage) -> None:
        first, second = await storage.create("pvc-1"), await storage.create("pvc-2")
        a, b = await asyncio.gather(storage.publish(first, "p1"), storage.publish(second, "p2"))
        writes(a, "a")
        assert not (b / "data").exists()

    async def test_what_is_in_use_is_not_deleted(self, storage: Storage) -> None:
        volume = await storage.create()
        writes(await storage.publish(volume), "mine")
        with pytest.raises(DriverError) as caught:
            await storage.driver.delete_volume(volume.volume_id)
        assert caught.value.reason == "VolumeInUse"
        assert not caught.value.terminal
        assert reads(storage.target("p1")) == "mine"

    async def test_a_topology_that_is_not_the_drivers_is_exhausted(self, storage: Storage) -> None:
        if storage.offers.topology:
            elsewhere = csi.TopologyRequirement(requisite=({"no.such/key": "x"},))
            with pytest.raises((Exhausted, InvalidConfig)):
                await storage.create(topology=elsewhere)
            here = csi.TopologyRequirement(requisite=((await storage.driver.node_get_info()).topology,))
            assert (await storage.create(topology=here)).topology == here.requisite


class ListingRules(VolumeSuite):
    rules_of = "listing"

    async def test_every_volume_is_listed_once_after_a_restart_too(self, storage: Storage) -> None:
        made = {v.volume_id: v for v in [await storage.create(f"pvc-{i}") for i in range(3)]}
        assert await storage.listed() == made
        await storage.restart()
        assert await storage.listed() == made
        gone = next(iter(made))
        await storage.driver.delete_volume(gone)
        assert await storage.listed() == {k: v for k, v in made.items() if k != gone}

    async def test_a_list_comes_in_pages(self, storage: Storage) -> None:
        assert await storage.driver.list_volumes() == csi.VolumePage()
        made = {(await storage.create(f"pvc-{i}")).volume_id for i in range(5)}
        token, seen = "", []
        for _ in range(3):
            page = await storage.driver.list_volumes(2, token)
            assert round_trips(page)
            seen += [e.volume.volume_id for e in page.entries]
            token = page.next_token
        assert (token, sorted(seen)) == ("", sorted(made))

    async def test_a_token_that_is_none_is_refused(self, storage: Storage) -> None:
        with pytest.raises(InvalidConfig) as caught:
            await storage.driver.list_volumes(0, "no-such-token")
        assert caught.value.reason == "InvalidToken"
        with pytest.raises(InvalidConfig):
            await storage.driver.list_volumes(-1)
