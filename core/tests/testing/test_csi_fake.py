"""The storage driver for tests keeps the rules of the contract too, and fails when it is told to."""

import pytest

from bareboat.contracts import csi
from bareboat.contracts.errors import Exhausted, Unavailable
from bareboat.testing import csi_suite_features as features
from bareboat.testing.csi_fake import FakeStorage, FakeStorageOptions
from bareboat.testing.csi_suite import ListingRules, ProvisioningRules
from bareboat.testing.host import FakeHost


class Rules(
    features.StagingRules,
    features.CapacityRules,
    features.SnapshotRules,
    features.CloneRules,
    features.ExpansionRules,
    features.NodeExpansionRules,
    features.StatsRules,
    features.ModifyingRules,
    features.EphemeralRules,
    ListingRules,
    ProvisioningRules,
):
    enforces_readonly = grows_file_systems = False


class TestOfTheCluster(features.AttachingRules, Rules):
    def make_driver(self, host):
        return FakeStorage(FakeStorageOptions(), host)


class TestOfTheNode(Rules):
    def make_driver(self, host):
        return FakeStorage(FakeStorageOptions(scope="node"), host)


async def test_it_fails_as_it_is_told(tmp_path):
    driver = FakeStorage(FakeStorageOptions(fail="node_publish_volume:Exhausted"), FakeHost(tmp_path))
    wanted = csi.CreateVolume(name="a", capabilities=(csi.VolumeCapability(),), parameters={"fail": "create_volume:Unavailable:2"})
    for _ in range(2):
        with pytest.raises(Unavailable):
            await driver.create_volume(wanted)
    made = await driver.create_volume(wanted)
    other = await driver.create_volume(csi.CreateVolume(name="b", capabilities=(csi.VolumeCapability(),)))
    with pytest.raises(Exhausted):
        await driver.node_publish_volume(
            csi.NodePublish(volume_id=other.volume_id, target_path=str(tmp_path / "x"), capability=csi.VolumeCapability())
        )
    assert made.volume_id != other.volume_id
