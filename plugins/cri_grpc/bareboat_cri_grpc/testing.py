"""For tests: a driver of ours behind the socket, and a containerd that shares nothing with the machine's.

What comes in: a driver; or an empty directory, for the daemon's socket, files and configuration, and images by tag. Leaving the context
ends the daemon and what it started, and takes back its mounts and network namespaces.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bareboat.testing import oci
from bareboat.testing.host import FakeHost
from bareboat_cri_grpc.options import CriSocketOptions
from bareboat_cri_grpc.plugin import CriSocket
from bareboat_cri_grpc.serving import CriFace

PROGRAMS = ("containerd", "ctr", "runc")
#: containerd asks for it beside the pod's network.
LOOPBACK = Path("/usr/lib/cni/loopback")
PAUSE = "bareboat.local/pause:1"


def missing() -> str:
    """The names of the programs that this machine lacks, "" if it has all."""
    return ", ".join([name for name in PROGRAMS if shutil.which(name) is None] + ([] if LOOPBACK.exists() else [str(LOOPBACK)]))


class Containerd:
    """A context manager. Pods get no network from it: ``bareboat-cni`` with ``driver: none`` leaves that to the agent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "containerd.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Containerd:
        self.directory.mkdir(parents=True, exist_ok=True)
        conf = self.directory / "net.d"
        conf.mkdir(exist_ok=True)
        (conf / "10-agent.conflist").write_text(
            '{"cniVersion": "1.0.0", "name": "agent", "plugins": [{"type": "bareboat-cni", "driver": "none"}]}'
        )
        binaries = self.directory / "bin"
        binaries.mkdir(exist_ok=True)
        for found in (LOOPBACK, Path(sys.executable).parent / "bareboat-cni"):
            (binaries / found.name).unlink(missing_ok=True)
            (binaries / found.name).symlink_to(found)
        (self.directory / "config.toml").write_text(self._config())
        self.start()
        self.load(PAUSE, oci.build([oci.busybox("sleep")], Entrypoint=["/bin/sleep", "2147483647"]))
        return self

    def start(self) -> None:
        with (self.directory / "containerd.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                ["containerd", "--config", str(self.directory / "config.toml")],  # noqa: S607
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while self._ctr("version", check=False) or not self._serves():
            if time.monotonic() > deadline:
                raise RuntimeError(f"containerd did not start: {(self.directory / 'containerd.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _serves(self) -> bool:
        return "containerd successfully booted" in (self.directory / "containerd.log").read_text()

    def stop(self) -> None:
        """The daemon alone: its containers go on."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def load(self, tag: str, image: oci.BuiltImage) -> None:
        archive = oci.write_docker_archive(self.directory / "image.tar", image, [tag])
        if self._ctr("-n", "k8s.io", "images", "import", "--no-unpack", str(archive)):
            raise RuntimeError(f"image {tag} cannot be loaded")
        archive.unlink()

    def _ctr(self, *words: str, check: bool = True) -> int:
        done = subprocess.run(["ctr", "--address", str(self.socket), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
        if check and done.returncode:
            sys.stderr.write(done.stderr)
        return done.returncode

    def __exit__(self, *_: Any) -> None:
        self.stop()
        for pid in _processes(str(self.socket)):
            os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([m for m in mounts if m.startswith(f"{self.directory}/")]):
            subprocess.run(["umount", "-l", mount], check=False)  # noqa: S603, S607
        shutil.rmtree(self.directory, ignore_errors=True)

    def _config(self) -> str:
        return f"""version = 2
root = "{self.directory}/root"
state = "{self.directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{self.directory}/bin"
conf_dir = "{self.directory}/net.d"
"""


class Served(CriSocket):
    """The proxy with one of our drivers behind its socket, which lives and ends with it."""

    def __init__(self, host: FakeHost, behind: Any) -> None:
        super().__init__(CriSocketOptions(socket=str(host.runtime_dir / "cri.sock")), host)
        self._face = CriFace(behind, host.runtime_dir / "cri.sock")

    async def open(self) -> None:
        if self._connection is None:
            await self._face.driver.open()
            await self._face.start()
        await super().open()

    async def close(self) -> None:
        await super().close()
        await self._face.stop()
        await self._face.driver.close()


def _processes(socket: str) -> list[int]:
    """The daemon's shims, which outlive it: they have its socket in their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"shim" in words[0] and any(socket.encode() in word for word in words):
            found.append(int(path.parent.name))
    return found
