"""Our process runtime keeps every rule also behind a socket: the proxy drives our own served driver."""

import os

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_grpc.options import CriSocketOptions
from bareboat_cri_grpc.plugin import CriSocket
from bareboat_cri_grpc.serving import CriFace
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


class Served(CriSocket):
    """With the driver behind the socket, which lives and ends with this one."""

    def __init__(self, options, host, behind):
        super().__init__(options, host)
        self._face = CriFace(behind, host.runtime_dir / "cri.sock")

    async def open(self):
        if self._connection is None:
            await self._face.driver.open()
            await self._face.start()
        await super().open()

    async def close(self):
        await super().close()
        await self._face.stop()
        await self._face.driver.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the process runtime needs root")
class TestProcessBehindASocket(
    features.LogRules,
    features.TtyRules,
    features.AttachRules,
    features.PortForwardRules,
    features.StatsRules,
    features.EventRules,
    features.ImageRemovalRules,
    features.UpdateRules,
    RuntimeSuite,
):
    image, other_image = "host", "host:other"

    def make_driver(self, host):
        return Served(CriSocketOptions(socket=str(host.runtime_dir / "cri.sock")), host, ProcessRuntime(ProcessOptions(), host))
