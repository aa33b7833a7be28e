"""Debian's ``docker-registry`` on loopback, for tests that pull and push over the real protocol.

What comes in: a directory, and perhaps a name and password. What goes out: a running registry on a free port, by its ``url`` (with scheme)
and its ``host`` (as image references name it). It needs the programs ``docker-registry`` and, with a password, ``htpasswd``.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

PROGRAM, PASSWORDS = "docker-registry", "htpasswd"


def missing() -> str:
    """The names of the programs that this machine lacks, "" if it has all."""
    return ", ".join(name for name in (PROGRAM, PASSWORDS) if shutil.which(name) is None)


class Registry:
    """A context manager; ``auth`` (name, password) closes it to everybody else."""

    def __init__(self, directory: Path, *, auth: tuple[str, str] | None = None) -> None:
        self.directory = directory
        self.auth = auth
        self.port = _free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Registry:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "registry.yml"
        config.write_text(yaml.safe_dump(self._config()))
        with (self.directory / "registry.log").open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=log)  # noqa: S603
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def blob_path(self, digest: str) -> Path:
        """The file in which the registry keeps a blob: to damage it."""
        value = digest.removeprefix("sha256:")
        return self.directory / "data/docker/registry/v2/blobs/sha256" / value[:2] / value / "data"

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        if self.auth is not None:
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self._passwords())}}
        return config

    def _passwords(self) -> Path:
        assert self.auth is not None
        made = subprocess.run([PASSWORDS, "-Bbn", *self.auth], capture_output=True, check=True)  # noqa: S603
        path = self.directory / "htpasswd"
        path.write_bytes(made.stdout)
        return path

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/v2/", timeout=1).close()  # noqa: S310
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"{PROGRAM} did not start: {(self.directory / 'registry.log').read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
