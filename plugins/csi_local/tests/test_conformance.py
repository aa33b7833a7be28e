"""Local storage keeps every rule of the storage contract."""

import os
from pathlib import Path

import pytest

from bareboat.contracts import csi
from bareboat.testing import csi_suite_features as features
from bareboat.testing.csi_suite import ListingRules, ProvisioningRules
from bareboat_csi_local.options import LocalStorageOptions
from bareboat_csi_local.plugin import LocalStorage

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")]


class Rules(
    features.StagingRules,
    features.BlockRules,
    features.CapacityRules,
    features.SnapshotRules,
    features.CloneRules,
    features.ExpansionRules,
    features.NodeExpansionRules,
    features.StatsRules,
    features.EphemeralRules,
    ListingRules,
    ProvisioningRules,
):
    def make_driver(self, host):
        return LocalStorage(LocalStorageOptions(), host)


class TestDirectories(Rules):
    grows_file_systems = False


def may_resize():
    """ext4 grows in use only for who has the right CAP_SYS_RESOURCE."""
    effective = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) & 1 << 24)


class TestImages(Rules):
    fs_type = "ext4"
    parameters = {"kind": "image"}
    inline = {"size": "8Mi", "kind": "image"}

    @pytest.mark.xfail(not may_resize(), reason="this machine does not let root resize an ext4 in use", strict=True)
    async def test_what_is_mounted_grows_in_use(self, storage):
        await super().test_what_is_mounted_grows_in_use(storage)

    async def test_what_grew_unmounted_is_bigger_when_it_is_staged_again(self, storage):
        volume = await storage.create()
        path = await storage.publish(volume)
        before = os.statvfs(path).f_blocks
        await storage.driver.controller_expand_volume(volume.volume_id, csi.CapacityRange(required=self.size * 4))
        await storage.unpublish(volume)
        await storage.unstage(volume)
        assert os.statvfs(await storage.publish(volume)).f_blocks > before * 3


class TestXfs(Rules):
    """The smallest XFS is 300 MiB, most of it holes."""

    fs_type, size = "xfs", 304 << 20
    parameters = {"kind": "image"}
    inline = {"size": "300Mi", "kind": "image"}
    unsupported = csi.VolumeCapability(access_mode="MULTI_NODE_READER_ONLY")
