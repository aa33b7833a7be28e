"""A Docker daemon, a registry and images of one's own: for tests and measurements, so that they depend on nothing that the machine runs.

What comes in: an empty directory. What goes out: a daemon that has all its data, its socket and its containerd below that directory,
without networks and firewall rules; a registry on the loopback, with or without a password; images made of the machine's static busybox.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
        self._run = Path(tempfile.mkdtemp(prefix="dockerd-"))  # paths of sockets must be short
        self.socket = str(self._run / "docker.sock")
        self.docker = Docker(self.socket, 60.0)
        self._live_restore = live_restore
        self._process: Process | None = None

    def start(self) -> None:
        directory = self.directory
        words = [f"--data-root={directory / 'data'}", f"--exec-root={self._run / 'exec'}", f"--pidfile={self._run / 'docker.pid'}"]
        words += [f"--host=unix://{self.socket}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        words += [f"--config-file={directory / 'none.json'}", f"--live-restore={str(self._live_restore).lower()}"]
        (directory / "none.json").write_text("{}")
        program = _program("dockerd")
        assert program is not None
        self._process = Process([program, *words], directory / "dockerd.log")
        try:
            self._until_it_answers()
        except BaseException:
            self._process.end()
            self._unmount()
            raise

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
        """Its containerd goes with it. The notes of their pids are dropped: on a machine whose init reaps late they look alive."""
        assert self._process is not None
        self._process.end(signal.SIGKILL)
        time.sleep(0.2)
        for note in ("docker.pid", "exec/containerd/containerd.pid"):
            (self._run / note).unlink(missing_ok=True)

    def containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.docker.api.containers(all=True)
        return found

    def remove(self) -> None:
        """Containers first: with live restore they would outlive the daemon. If it does not run, whatever is left is killed."""
        try:
            for entry in self.containers():
                self.docker.api.remove_container(entry["Id"], v=True, force=True)
        finally:
            self.stop()
            self._kill_shims()
            self._clear()

    def _kill_shims(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if b"containerd-shim" in (line := path.read_bytes()) and str(self._run).encode() in line:
                    pid = int(path.parent.name)
                    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                    for victim in (*map(int, children), pid):
                        os.kill(victim, signal.SIGKILL)

    def _clear(self) -> None:
        self.docker.close()
        self._unmount()
        for directory in (self.directory, self._run):
            shutil.rmtree(directory, ignore_errors=True)

    def _unmount(self) -> None:
        """What the daemon has mounted, its data directory first of all, where it could not end in order."""
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split(" ")[4]
            if target.startswith((f"{self.directory}/", f"{self._run}/")):
                subprocess.run(["umount", target], check=False, capture_output=True)  # noqa: S603, S607

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


def python_files() -> dict[str, bytes | Path | str]:
    """This Python, without its packages, and the libraries it needs: an image with ``python3`` that nobody has to download."""
    library, program = Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    found = [p for p in library.rglob("*") if p.is_file() and not _UNUSED.intersection(p.relative_to(library).parts[:-1])]
    executables = [program.resolve(), *(p for p in found if ".so" in p.suffixes)]
    listed = subprocess.run(["ldd", *map(str, executables)], check=False, capture_output=True, text=True).stdout  # noqa: S603, S607
    needed = {Path(word) for line in listed.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}
    files: dict[str, bytes | Path | str] = {str(p).lstrip("/"): p for p in [*found, *sorted(needed), program.resolve()]}
    return files | {"bin/python3": str(program.resolve())}


_UNUSED = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib", "ensurepip", "tkinter", "lib2to3", "pydoc_data"}


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
