"""What is on disk: one directory per sandbox and per container, each with a record that never changes once it is there.

What comes in: Structs. What goes out: directories that appear whole (made under a hidden name, then renamed) and vanish whole (renamed
away, then deleted), so that a process killed between any two steps leaves either a complete entry or rubbish with a dot, which
``sweep`` deletes. What changes over a life (lock, running, exit) is written by the monitor and read by ``monitors.py``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Literal, TypeVar

import msgspec

from bareboat.contracts.cri import ContainerConfig, SandboxConfig
from bareboat_cri_process.privileges import Identity


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    config: SandboxConfig
    created_at: int

    @property
    def key(self) -> tuple[str, int]:
        return self.config.uid, self.config.attempt


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``argv`` … ``stop_signal`` are the config resolved against the image; ``roots`` are
    the directories of its file system, topmost first: "/" for the machine's own."""

    id: str
    sandbox_id: str
    config: ContainerConfig
    image_id: str
    created_at: int
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    who: Identity
    roots: tuple[str, ...]
    stop_signal: int = 15
    engine: Literal["own", "crun"] = "own"

    @property
    def key(self) -> tuple[str, str, int]:
        return self.sandbox_id, self.config.name, self.config.attempt

    @property
    def group(self) -> str:
        return f"{self.sandbox_id}/{self.id}"


R = TypeVar("R", SandboxRecord, ContainerRecord)


class Shelf(Generic[R]):
    """A directory of records of one kind. Records are immutable, so they are read once; the names are read each time."""

    def __init__(self, directory: Path, kind: type[R]) -> None:
        self.directory = directory
        self._kind: type[R] = kind
        self._known: dict[str, R] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, record_id: str) -> Path:
        return self.directory / record_id

    def add(self, record: R, subdirectories: tuple[str, ...] = ()) -> None:
        hidden: Path = self.directory / f".new-{record.id}"
        for path in (hidden, *(hidden / name for name in subdirectories)):
            path.mkdir()
            path.chmod(0o700 if path == hidden else 0o755)  # a container's "/" must not depend on our umask
        (hidden / "record.json").write_bytes(msgspec.json.encode(record))
        hidden.rename(self.path(record.id))
        self._known[record.id] = record

    def get(self, record_id: str) -> R | None:
        if not record_id or "/" in record_id or record_id.startswith("."):
            return None
        if record_id not in self._known or not self.path(record_id).is_dir():
            self._known.pop(record_id, None)
            self._read(record_id)
        return self._known.get(record_id)

    def __iter__(self) -> Iterator[R]:
        for name in sorted(os.listdir(self.directory)):
            if record := self.get(name):
                yield record

    def remove(self, record_id: str) -> None:
        self._known.pop(record_id, None)
        hidden = self.directory / f".gone-{record_id}"
        try:
            self.path(record_id).rename(hidden)
        except FileNotFoundError:
            pass
        shutil.rmtree(hidden, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what an earlier process was making or deleting when it was killed."""
        for name in os.listdir(self.directory):
            if name.startswith("."):
                shutil.rmtree(self.directory / name, ignore_errors=True)

    def _read(self, record_id: str) -> None:
        try:
            content = (self.path(record_id) / "record.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        self._known[record_id] = msgspec.json.decode(content, type=self._kind)
