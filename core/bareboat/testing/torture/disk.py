"""A small disk of its own for the data under torture: an ext4 file system in a file, so that it can be full, and lose its power.

A power cut is what the file holds at that moment: what was synced is in it, what was only written is in the memory of the
mounted file system and gone. The server is stopped while the file is copied, and the copy is made again if the disk was written
to meanwhile.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path


class Disk:
    """``data`` is where it is mounted. Needs root."""

    def __init__(self, base: Path, size: str) -> None:
        self.image = base / "disk"
        self.data = base / "data"
        self._size = size

    def mount(self) -> bool:
        """Whether this machine let us; else ``data`` is a plain directory."""
        self.data.mkdir(exist_ok=True)
        try:
            if not self.image.exists():
                _run("truncate", "-s", self._size, str(self.image))
                _run("mkfs.ext4", "-q", "-m", "0", str(self.image))
            _run("mount", "-o", "loop", str(self.image), str(self.data))
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.data)], check=False, capture_output=True)  # noqa: S603, S607

    def snapshot(self) -> Path:
        """What the disk holds now, whatever the file system on it has in memory."""
        copy = self.image.with_name("disk.copy")
        while True:
            before = self.image.stat().st_mtime_ns
            _run("cp", "--sparse=always", str(self.image), str(copy))
            if self.image.stat().st_mtime_ns == before:
                return copy

    async def power_back(self, copy: Path) -> None:
        """Go on with what the disk held; whoever had files open on it is gone by now."""
        for _ in range(50):
            self.unmount()
            if not self.data.is_mount():
                break
            await asyncio.sleep(0.1)
        shutil.move(copy, self.image)
        if not self.mount():
            raise RuntimeError(f"{self.image} cannot be mounted again after the power cut")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
