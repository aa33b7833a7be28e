"""`bareboat serve csi`: a driver on a socket, by the command line, and what is wrong with the words told."""

import os
import signal
import socket as sockets
import subprocess
import sys
import time

import pytest

from bareboat.contracts import csi
from bareboat.testing.host import FakeHost
from bareboat_csi_grpc.options import CsiSocketOptions
from bareboat_csi_grpc.plugin import CsiSocket

SERVE = [sys.executable, "-m", "bareboat", "serve", "csi"]


def listened_to(socket):
    """Its file is there a moment before anybody listens."""
    with sockets.socket(sockets.AF_UNIX) as client:
        return client.connect_ex(str(socket)) == 0


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
async def test_local_storage_is_served_until_it_is_told_to_stop(tmp_path):
    socket = tmp_path / "run" / "csi.sock"
    server = subprocess.Popen([*SERVE, "local", "--socket", str(socket), "--state-dir", str(tmp_path / "state"), "--node", "here"])
    try:
        deadline = time.monotonic() + 20
        while not listened_to(socket):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        driver = CsiSocket(CsiSocketOptions(socket=str(socket)), FakeHost(tmp_path / "agent"))
        await driver.open()
        assert driver.driver_name == "local.csi.bareboat.io"
        assert (await driver.node_get_info()).topology == {"topology.local.csi.bareboat.io/node": "here"}
        made = await driver.create_volume(csi.CreateVolume(name="a", capabilities=(csi.VolumeCapability(),)))
        assert [e.volume for e in (await driver.list_volumes()).entries] == [made]
        await driver.close()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    assert not socket.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["local", "--options", "{"], "not JSON"),
        (["local", "--options", '{"colour": 1}'], "unknown field"),
        (["none"], "no such plugin installed"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, words, told):
    done = subprocess.run([*SERVE, *words, "--socket", str(tmp_path / "s")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stderr
