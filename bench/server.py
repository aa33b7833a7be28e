"""The server under test: one of our own in a folder of its own, or anything that speaks the Kubernetes API at a URL.

What is read of an own server besides its answers: the CPU seconds and the memory of its process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Seconds that a process may take to be there.
START_SECONDS = 120


class NotStarted(Exception):
    """The server ended or was not ready in time; the text ends with what it said."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> None:
    """Wait until somebody listens there."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise NotStarted(f"nobody listens on port {port}")


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> float:
    """The process's share of memory, in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def descendants(pid: int) -> list[int]:
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += descendants(int(child))
    return found


class OwnServer:
    """``bareboat server`` of the checkout ``source``, on a free port, with further ``options``. ``controllers`` None: all. ``command``:
    what takes the place of ``-m bareboat``."""

    command: Sequence[str] = ("-m", "bareboat")

    def __init__(self, data: Path, *, source: Path = ROOT, controllers: str | None = None, options: Sequence[str] = ()) -> None:
        self.data = data
        self._source = source
        self._controllers = controllers
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        #: seconds from exec to ready, of the last start
        self.start_seconds = 0.0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The administrator's, with its key."""
        return self.data / "server/pki/admin.crt", self.data / "server/pki/admin.key"

    def start(self) -> None:
        """Returns when it is ready."""
        options = [*self._options, "--data-dir", str(self.data), "--port", str(self.port), "--address", "127.0.0.1"]
        if self._controllers is not None:
            options += ["--controllers", self._controllers]
        python = self._source / ".venv/bin/python"
        command = [str(python if python.exists() else sys.executable), *self.command, "server", *options]
        paths = [self._source / "core", *self._source.glob("plugins/*")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its bytecode from the second start on
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as said:
            began = time.monotonic()
            self._process = subprocess.Popen(
                [*command, "--ready-fd", str(writer)], pass_fds=[writer], stdout=said, stderr=said, env=environment
            )
            os.close(writer)
            with os.fdopen(reader) as line:
                ready = line.readline()
            self.start_seconds = time.monotonic() - began
            if not ready:
                self._process.wait()
                said.seek(0)
                raise NotStarted(said.read()[-2000:].decode())

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
