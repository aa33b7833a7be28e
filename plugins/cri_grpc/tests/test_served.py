"""Our process runtime keeps every rule also behind a socket: the proxy drives our own served driver."""

import asyncio
import os
import signal
import socket as sockets
import subprocess
import sys

import pytest

from bareboat.contracts.errors import Unavailable
from bareboat.testing import cri_suite_features as features
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat.testing.host import FakeHost
from bareboat_cri_fake.options import FakeOptions
from bareboat_cri_fake.plugin import FakeRuntime
from bareboat_cri_grpc.options import CriSocketOptions
from bareboat_cri_grpc.plugin import CriSocket
from bareboat_cri_grpc.serving import CriFace
from bareboat_cri_grpc.testing import Served
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the process runtime needs root")
class TestProcessBehindASocket(features.AllFeatures, RuntimeSuite):
    image, other_image = "host", "host:other"

    def make_driver(self, host):
        return Served(host, ProcessRuntime(ProcessOptions(), host))


async def test_a_socket_that_is_gone_is_unavailable_until_it_is_back(tmp_path):
    host = FakeHost(tmp_path)
    driver = CriSocket(CriSocketOptions(socket=str(tmp_path / "cri.sock"), timeout=5), host)
    await driver.open()
    face = CriFace(FakeRuntime(FakeOptions(), host), tmp_path / "cri.sock")
    await face.driver.open()
    for _ in range(2):
        assert (await driver.status()).reason == "RuntimeUnavailable"
        with pytest.raises(Unavailable):
            await driver.list_containers()
        await face.start()
        async with asyncio.timeout(20):
            while not (await driver.status()).ready:
                await asyncio.sleep(0.1)
        assert await driver.list_containers() == []
        await face.stop()
    await driver.close()
    await face.driver.close()


def listened_to(socket):
    """Its file is there a moment before anybody listens."""
    with sockets.socket(sockets.AF_UNIX) as client:
        return client.connect_ex(str(socket)) == 0


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the process runtime needs root")
async def test_the_command_serves_until_it_is_told_to_stop(tmp_path):
    socket = tmp_path / "run" / "cri.sock"
    words = [sys.executable, "-m", "bareboat", "serve", "cri", "process", "--socket", str(socket), "--state-dir", str(tmp_path / "state")]
    server = subprocess.Popen(words)
    try:
        async with asyncio.timeout(20):
            while not listened_to(socket):
                await asyncio.sleep(0.05)
        driver = CriSocket(CriSocketOptions(socket=str(socket)), FakeHost(tmp_path / "agent"))
        await driver.open()
        assert (await driver.version()).runtime_name
        assert await driver.list_pod_sandbox() == []
        await driver.close()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    assert not socket.exists()
