"""Where things are on this machine: the driver's directories, the pods' shared memory, the monitor, and what the file system can do.

What comes in: the host's directories. What goes out: paths, made when they are first needed. ``layers_on_disk`` is False where the
directory cannot hold an overlay's upper layer (as within another container): writable layers are then in memory.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from bareboat_cri_process.binary import monitor_file
from bareboat_cri_process.monitors import launch
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.program import Program, Table
from bareboat_cri_process.rootfs import Root, mount_root
from bareboat_cri_process.syscalls import CLONE_NEWNS, MS_REC, MS_SLAVE

SHARED = Path("/dev/shm")  # noqa: S108  the machine's shared memory is the point


class Layout:
    """Paths below ``directory``, the driver's root."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.directory = directory
        self.sandboxes, self.containers, self.images = (directory / name for name in ("sandboxes", "containers", "images"))
        self.shared = SHARED / f"bareboat-{instance}"
        self.layers_on_disk = True
        for path in (directory, self.images):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def monitor(self) -> Path:
        """The executable, by a path that lasts as long as this process; what was started from it lasts longer."""
        executable = Path(f"/proc/{os.getpid()}/fd/{monitor_file(self.directory)}")
        self.layers_on_disk = self._can_overlay(executable)
        return executable

    def hidden(self, options: ProcessOptions) -> tuple[str, ...]:
        """What containers of the machine's own file system must not see: secrets, and the driver itself."""
        return (*options.host_hidden, str(self.directory))

    def shared_memory(self, sandbox_id: str) -> str:
        path = self.shared / sandbox_id
        return str(path) if path.is_dir() else ""

    def make_shared_memory(self, sandbox_id: str) -> None:
        if not SHARED.is_dir():
            return
        self.shared.mkdir(mode=0o711, exist_ok=True)
        path = self.shared / sandbox_id
        path.mkdir(exist_ok=True)
        path.chmod(0o1777)

    def remove_shared_memory(self, sandbox_id: str) -> None:
        shutil.rmtree(self.shared / sandbox_id, ignore_errors=True)

    def forget_shared_memory(self, *, except_for: set[str]) -> None:
        for path in self.shared.iterdir() if self.shared.is_dir() else ():
            if path.name not in except_for:
                shutil.rmtree(path, ignore_errors=True)

    def remove_instance(self) -> None:
        """The place of the instance's shared memory, once no pod has any."""
        with suppress(OSError):
            self.shared.rmdir()

    def _can_overlay(self, executable: Path) -> bool:
        """Try it, in a mount namespace that is gone with the attempt: the monitor itself is the command, and ends at once."""
        probe = self.directory / "probe"
        shutil.rmtree(probe, ignore_errors=True)
        for name in ("fs", "layers", "lower"):
            (probe / name).mkdir(parents=True)
        program = Program(clone_flags=CLONE_NEWNS, directory=str(probe))
        program.inner.mount("none", "/", "", MS_REC | MS_SLAVE)
        mount_root(program.inner, Root((probe / "lower",)), probe, nodev=True)
        program.inner.call("execve", str(executable), Table(("probe",)), Table(()), label="run the probe")
        worked = launch(executable, program).error == 0
        shutil.rmtree(probe, ignore_errors=True)
        return worked
