"""A Docker daemon, a registry and images of one's own: for tests and measurements, so that they depend on nothing that the machine runs.

What comes in: an empty directory. What goes out: a daemon that has all its data, its socket and its containerd below that directory,
without networks and firewall rules; a registry on the loopback, with or without a password; images made of the machine's static busybox.
"""

from __future__ import annotations

import io
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bareboat_cri_docker.backend import Docker

PATIENCE = 60.0


def missing() -> str:
    """Which programs there are not, "" if all are there."""
    return ", ".join(n for n in ("dockerd", "docker-registry", "htpasswd", "busybox") if _program(n) is None)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


class Process:
    """A program in the background, its output in a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(list(command), stdout=output, stderr=output, start_new_session=True)  # noqa: S603
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self, with_signal: int = signal.SIGTERM) -> None:
        if self.alive():
            self._process.send_signal(with_signal)
        self._process.wait(PATIENCE)


class Dockerd:
    """``start`` and ``stop`` or ``kill``, any number of times; ``remove`` at the end."""

    def __init__(self, directory: Path, *, live_restore: bool = True) -> None:
        self.directory = directory
        self.socket = str(directory / "docker.sock")
        self.docker = Docker(self.socket, 60.0)
        self._live_restore = live_restore
        self._process: Process | None = None

    def start(self) -> None:
        directory = self.directory
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
        words = [f"--{name}={directory / path}" for name, path in options.items()]
        words += [f"--host=unix://{self.socket}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        words += [f"--config-file={directory / 'none.json'}", f"--live-restore={str(self._live_restore).lower()}"]
        (directory / "none.json").write_text("{}")
        program = _program("dockerd")
        assert program is not None
        self._process = Process([program, *words], directory / "dockerd.log")
        self._until_it_answers()

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        assert self._process is not None
        while True:
            try:
                self.docker.negotiate()
            except OSError as error:
                if not self._process.alive() or time.monotonic() > deadline:
                    raise RuntimeError(f"dockerd did not start:\n{self._process.log.read_text()[-2000:]}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.end()

    def kill(self) -> None:
        assert self._process is not None
        self._process.end(signal.SIGKILL)
        (self.directory / "docker.pid").unlink(missing_ok=True)

    def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.docker.api.containers(all=True)
        return found

    def remove(self) -> None:
        """Containers first: with live restore they would outlive the daemon."""
        for entry in self.containers():
            self.docker.api.remove_container(entry["Id"], v=True, force=True)
        self.stop()
        self.docker.close()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split(" ")[4]
            if target.startswith(f"{self.directory}/"):
                subprocess.run(["umount", target], check=False, capture_output=True)  # noqa: S603, S607
        shutil.rmtree(self.directory, ignore_errors=True)

    def build(self, name: str, files: Mapping[str, bytes | Path | str] | None = None, **config: Any) -> str:
        """An image of busybox, whose applets are all there, and ``files``. Returns its id."""
        changes = [f"{key.upper()} {value}" for key, value in config.items()]
        repository, _, tag = name.rpartition(":")
        self.docker.api.import_image_from_data(layer(files or {}), repository=repository, tag=tag, changes=changes)
        return str(self.docker.api.inspect_image(name)["Id"])


def layer(files: Mapping[str, bytes | Path | str]) -> bytes:
    """A tar file: bytes are a file's content, a Path is copied, a str is a link's target."""
    program = _program("busybox")
    assert program is not None
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    everything: dict[str, bytes | Path | str] = {
        "bin/busybox": Path(program),
        "etc/passwd": b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/:\n",
    }
    everything |= {f"bin/{name}": "busybox" for name in applets if name != "busybox"}
    everything |= {"etc/group": b"root:x:0:\nweb:x:1000:\n", "tmp/.keep": b"", "root/.keep": b""} | dict(files)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in everything.items():
            if isinstance(content, Path):
                tar.add(content.resolve(), arcname=name)
                continue
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return archive.getvalue()


class Registry:
    """``address`` is what stands before an image's name. The password of ``user``, if it is asked for, is ``secret``."""

    def __init__(self, directory: Path, *, password: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        lines = ["version: 0.1", "storage:", f"  filesystem: {{rootdirectory: {directory / 'data'}}}", "  delete: {enabled: true}"]
        lines += [f"http: {{addr: '{self.address}'}}"]
        if password:
            htpasswd = _program("htpasswd")
            assert htpasswd is not None
            subprocess.run([htpasswd, "-Bbc", str(directory / "users"), "user", "secret"], check=True, capture_output=True)  # noqa: S603
            lines += ["auth:", f"  htpasswd: {{realm: tests, path: {directory / 'users'}}}"]
        (directory / "config.yml").write_text("\n".join(lines) + "\n")
        program = _program("docker-registry")
        assert program is not None
        self._process = Process([program, "serve", str(directory / "config.yml")], directory / "registry.log")
        self._until_it_answers(port)

    def _until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the registry did not start:\n{self._process.log.read_text()[-2000:]}") from error
                time.sleep(0.05)
            else:
                return

    def push(self, dockerd: Dockerd, name: str, auth: dict[str, str] | None = None) -> str:
        """An image of the daemon under its name, to here; the local one of the new name is untagged. Returns the new name."""
        target = f"{self.address}/{name}"
        repository, _, tag = target.rpartition(":")
        dockerd.docker.api.tag(name, repository, tag)
        for event in dockerd.docker.api.push(
            repository, tag=tag, stream=True, decode=True, auth_config=auth or {"username": "", "password": ""}
        ):
            if "error" in event:
                raise RuntimeError(str(event["error"]))
        dockerd.docker.api.remove_image(target)
        return target

    def stop(self) -> None:
        self._process.end()
