"""What the node has published and staged, kept beside it: an agent that starts anew knows how to undo it without asking anybody.

    PODS/UID/csi/VOLUME/{record.json, mount}      STAGING/DRIVER/HASH/{record.json, mount/}

A record is written before the driver is called, and goes after it. What is mounted is the driver's and the kernel's of the machine to know.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One volume of one pod. ``attached``: by an attacher, which must not take it away before it is unpublished."""

    driver: str
    volume_id: str
    target: str
    staging: str = ""
    volume: str = ""
    attached: bool = False
    block: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.driver, self.volume_id


class Records:
    """``pods`` is the directory of all pods of the node."""

    def __init__(self, pods: Path, staging: Path) -> None:
        self._pods = pods
        self._staging = staging

    def place(self, pod_directory: Path, volume: str) -> Path:
        return pod_directory / "csi" / volume

    def staging(self, driver: str, volume_id: str) -> Path:
        return self._staging / driver / hashlib.sha256(volume_id.encode()).hexdigest()[:32] / "mount"

    def of_pod(self, pod_directory: Path) -> Iterator[tuple[Path, Published]]:
        for file in sorted((pod_directory / "csi").glob("*/record.json")):
            yield file.parent, msgspec.json.decode(file.read_bytes(), type=Published)

    def all(self) -> Iterator[tuple[Path, Published]]:
        for file in sorted(self._pods.glob("*/csi/*/record.json")):
            yield file.parent, msgspec.json.decode(file.read_bytes(), type=Published)

    def staged(self) -> Iterator[tuple[Path, Published]]:
        for file in sorted(self._staging.glob("*/*/record.json")):
            yield file.parent, msgspec.json.decode(file.read_bytes(), type=Published)

    def uids(self) -> set[str]:
        """Pods that have something published."""
        return {file.parents[2].name for file in self._pods.glob("*/csi/*/record.json")}

    def put(self, place: Path, record: Published) -> None:
        place.mkdir(mode=0o750, parents=True, exist_ok=True)
        fresh = place / "record.new"
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(place / "record.json")

    def remove(self, place: Path) -> None:
        """After the driver has let go. Never deletes what is still mounted below."""
        mount = place / "mount"
        if mount.is_dir() and not mount.is_symlink():
            mount.rmdir()
        (place / "record.json").unlink(missing_ok=True)
        if below(place):
            raise OSError(f"{place} is still mounted")
        shutil.rmtree(place, ignore_errors=True)


def below(directory: Path) -> list[str]:
    """Mounts at or below the directory, the innermost first."""
    paths = [_plain(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    prefix = str(directory)
    return sorted((p for p in paths if p == prefix or p.startswith(f"{prefix}/")), reverse=True)


def _plain(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
