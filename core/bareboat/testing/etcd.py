"""A private etcd for tests: its own data, ports of its own on the loopback address, ``fsync`` on. Needs Debian's ``etcd-server``."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


class Etcd:
    """One member."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client, self._peer = _free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._client}"

    @property
    def port(self) -> int:
        return self._client

    def start(self) -> None:
        """Until it answers."""
        peer = f"http://127.0.0.1:{self._peer}"
        urls = ["--listen-client-urls", self.url, "--advertise-client-urls", self.url, "--listen-peer-urls", peer]
        member = ["--name", "t", "--initial-advertise-peer-urls", peer, "--initial-cluster", f"t={peer}", "--logger", "zap"]
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  etcd itself
                ["etcd", "--data-dir", str(self.folder / "data"), *urls, *member],  # noqa: S607  wherever it is installed
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"etcd did not start, see {self.folder}/log")
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._client, timeout=1)
            with contextlib.closing(connection):
                connection.request("GET", "/health")
                return b"true" in connection.getresponse().read()
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in taken]
    for found in taken:
        found.close()
    return ports


@pytest.fixture(scope="session")
def etcd() -> Iterator[Etcd]:
    """A member for all tests of a session. Import it in a conftest."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed (Debian: etcd-server)")
    member = Etcd(Path(tempfile.mkdtemp(prefix="bbetcd-")))
    member.start()
    yield member
    member.kill()
    shutil.rmtree(member.folder)
