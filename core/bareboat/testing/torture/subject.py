"""The server under torture: any command that starts one, its process, its files, and where its API answers.

``{data}`` and ``{port}`` in the command are filled in; ready is when /readyz says so to the kubeconfig that it writes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from bareboat.client import kubeconfig
from bareboat.testing.torture.disk import Disk

#: An API server alone, over the store that is tortured; the pods' world is not what this is about.
COMMAND = (
    sys.executable,
    "-m",
    "bareboat",
    "server",
    "--data-dir",
    "{data}",
    "--port",
    "{port}",
    "--address",
    "127.0.0.1",
    "--controllers",
    "",
)
READY_SECONDS = 60.0


class Subject:
    """One server. ``url`` and ``tls`` are good after the first ``start``."""

    def __init__(self, data: Path, command: Sequence[str] = COMMAND, disk: Disk | None = None) -> None:
        """``disk``: the one that holds the data, if they are on one of their own."""
        self.data = data
        self.disk = disk
        self.port = _free_port()
        self._command = [part.replace("{data}", str(data)).replace("{port}", str(self.port)) for part in command]
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"https://127.0.0.1:{self.port}"
        self.tls: ssl.SSLContext | None = None
        self.starts = 0
        #: while False a client that cannot connect need not try
        self.up = asyncio.Event()

    @property
    def store(self) -> Path:
        return self.data / "server" / "state" / "store.db"

    @property
    def faces(self) -> list[Subject]:
        """Whom clients talk to."""
        return [self]

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.data / "torture.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Raises RuntimeError with the end of its log if it does not get ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "torture.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdout=output, stderr=output)
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await self._ready():
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"the server did not get ready (code {self._process.returncode}):\n{self.log[-2000:]}")
            await asyncio.sleep(0.02)
        self.starts += 1
        self.up.set()

    async def _ready(self) -> bool:
        import aiohttp

        path = self.data / "kubeconfig"
        if self.tls is None:
            if not path.exists():
                return False
            self.tls = kubeconfig.load(path).tls
        try:
            async with aiohttp.ClientSession() as session, session.get(self.url + "/readyz", ssl=self.tls) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """And wait until it is gone."""
        assert self._process is not None
        self.up.clear()
        if self._process.returncode is None:
            os.kill(self._process.pid, number)
        await self._process.wait()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
