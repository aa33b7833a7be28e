"""Local storage keeps every rule also when it is behind a socket: the kernel's proxy drives our own served driver."""

import asyncio
import os

import grpc
import pytest

from bareboat.contracts import csi
from bareboat.contracts.errors import DriverError, InProgress, InvalidConfig, Unavailable
from bareboat.testing import csi_suite_features as features
from bareboat.testing.csi_fake import FakeStorage, FakeStorageOptions
from bareboat.testing.csi_suite import ListingRules, ProvisioningRules
from bareboat.testing.host import FakeHost
from bareboat_csi_grpc import translate
from bareboat_csi_grpc.options import CsiSocketOptions
from bareboat_csi_grpc.plugin import CsiSocket
from bareboat_csi_grpc.serving import CsiFace
from bareboat_csi_local.options import LocalStorageOptions
from bareboat_csi_local.plugin import LocalStorage


class Served(CsiSocket):
    """With the driver behind the socket, which lives and ends with this one."""

    def __init__(self, options, host, behind):
        super().__init__(options, host)
        self._face = CsiFace(behind, host.runtime_dir / "csi.sock")

    async def open(self):
        if self._channel is None:
            await self._face.driver.open()
            await self._face.start()
        await super().open()

    async def close(self):
        await super().close()
        await self._face.stop()
        await self._face.driver.close()


class Common(
    features.StagingRules,
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
    grows_file_systems = False


def options(host):
    return CsiSocketOptions(socket=str(host.runtime_dir / "csi.sock"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
class TestLocalBehindASocket(features.BlockRules, Common):
    def make_driver(self, host):
        return Served(options(host), host, LocalStorage(LocalStorageOptions(), host))


class TestFakeBehindASocket(features.AttachingRules, features.ModifyingRules, Common):
    enforces_readonly = False

    def make_driver(self, host):
        return Served(options(host), host, FakeStorage(FakeStorageOptions(), host))


async def test_a_socket_that_is_gone_is_unavailable_until_it_is_back(tmp_path):
    host = FakeHost(tmp_path)
    wanted = CsiSocketOptions(socket=str(tmp_path / "csi.sock"), driver="fake.csi.bareboat.io", timeout=5)
    with pytest.raises(Unavailable):
        await CsiSocket(CsiSocketOptions(socket=str(tmp_path / "none.sock"), timeout=1), host).open()
    driver = CsiSocket(wanted, host)
    await driver.open()
    assert (await driver.status()).reason == "DriverUnavailable"
    face = CsiFace(FakeStorage(FakeStorageOptions(), host), tmp_path / "csi.sock")
    for _ in range(2):
        await face.start()
        async with asyncio.timeout(20):
            while not (await driver.status()).ready:
                await asyncio.sleep(0.1)
        assert driver.capabilities.provisioning
        assert (await driver.node_get_info()).node_id == "fake-node-1"
        await face.stop()
        with pytest.raises(Unavailable):
            await driver.list_volumes()
    await driver.close()


def test_every_code_has_an_error_and_back():
    for cls, code in translate.TO_CODE:
        assert translate.code_of(cls("x")) is code
        assert type(translate.error_of(code, "x", "", listing=False)) is cls
    assert type(translate.error_of(grpc.StatusCode.ABORTED, "x", "", listing=False)) is InProgress
    assert translate.error_of(grpc.StatusCode.ABORTED, "x", "", listing=True).reason == "InvalidToken"
    assert translate.code_of(InvalidConfig("x", reason="InvalidToken")) is grpc.StatusCode.ABORTED
    assert type(translate.error_of(grpc.StatusCode.DATA_LOSS, "x", "", listing=False)) is DriverError
    assert translate.error_of(grpc.StatusCode.INTERNAL, "x", "DiskOnFire", listing=False).reason == "DiskOnFire"
    assert csi.VolumeInUse.default_reason == "VolumeInUse"
