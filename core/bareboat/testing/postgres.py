"""A private PostgreSQL for tests: its own data, a Unix socket in a folder of its own, ``fsync`` on, no TCP port.

What comes in: an empty folder. What goes out: a running server, its URL, and ways to make it suffer. Needs Debian's
``postgresql`` (its own cluster may be stopped). PostgreSQL refuses to run as root: then it runs as the user ``postgres``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def programs() -> Path | None:
    """Where the server's programs are; None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parent.parent.name))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Postgres:
    """One server. ``folder`` must be reachable for the user postgres, its path short: a socket is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def create(self) -> None:
        """Make the data directory and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-instructions")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\nfsync = on\nmax_connections = 60\n")
        self.start()

    def listen(self, port: int, certificate: Path, key: Path) -> None:
        """Start again with TLS and passwords on a port of the loopback address."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            target = self._data / name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            if self._user:
                shutil.chown(target, self._user, self._user)
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n")
        (self._data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        self.stop()
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash."""
        if self.running:
            self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    @property
    def running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def sql(self, statement: str) -> str:
        """Run it as the superuser; what psql prints, unadorned."""
        return self._run("psql", "-h", str(self.folder), "-U", "postgres", "-Atqc", statement, "postgres").strip()

    def cut(self) -> None:
        """End every connection."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bareboat'")

    def pause(self) -> None:
        """Stop every process of the server, as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, number)
        for task in Path(f"/proc/{postmaster}/task").glob("*/children"):
            for child in task.read_text().split():
                with contextlib.suppress(ProcessLookupError):  # it has ended since: a connection that was closed meanwhile
                    os.kill(int(child), number)

    def _run(self, program: str, *arguments: str) -> str:
        where = programs()
        if where is None:
            raise FileNotFoundError("PostgreSQL's server programs are not installed (Debian: postgresql)")
        command = [str(where / program), *arguments]
        done = subprocess.run(  # noqa: S603  the server's own programs
            command, user=self._user, capture_output=True, text=True, check=False, cwd="/", stdin=subprocess.DEVNULL, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr or done.stdout}")
        return done.stdout


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests of a session. Import it in a conftest."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = Postgres(place())
    server.create()
    yield server
    server.stop("immediate")
    shutil.rmtree(server.folder)


def place() -> Path:
    """A new folder with a path short enough for a socket, which the user postgres can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bbpg-", dir="/tmp"))
    folder.chmod(0o755)
    return folder
