"""Volumes and snapshots as directories: a record beside the data, made whole or not at all.

    DIRECTORY/volumes/ID/{record.json, data/ or image}      DIRECTORY/snapshots/ID/{record.json, data/ or image}

What comes in: what to make. What goes out: records, which a later process finds again. Nothing is mounted here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Generic, Literal, TypeVar

import msgspec

from bareboat.contracts import csi
from bareboat.contracts.errors import NotFound

Kind = Literal["directory", "image"]


class VolumeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``fs`` of an image, "" for a raw device. ``grow``: the file system is smaller than its file."""

    name: str
    volume: csi.Volume
    kind: Kind
    fs: str = ""
    block: bool = False
    grow: bool = False


class SnapshotRecord(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    snapshot: csi.Snapshot
    kind: Kind
    fs: str = ""


R = TypeVar("R", VolumeRecord, SnapshotRecord)


def id_of(prefix: str, name: str) -> str:
    """The same for the same name, and a good file name."""
    return f"{prefix}-{hashlib.sha256(name.encode()).hexdigest()[:24]}"


class Shelf(Generic[R]):
    """Records of one type."""

    def __init__(self, directory: Path, cls: type[R]) -> None:
        self._directory = directory
        self._cls: type[R] = cls

    def open(self) -> None:
        """What was being made when a process died is thrown away."""
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        for half in self._directory.glob(".new-*"):
            shutil.rmtree(half)

    def place(self, identity: str) -> Path:
        return self._directory / identity

    def data(self, identity: str) -> Path:
        """A directory or an image, whichever it is."""
        directory = self.place(identity) / "data"
        return directory if directory.exists() else self.place(identity) / "image"

    def find(self, identity: str) -> R | None:
        if not identity or "/" in identity or identity.startswith("."):
            return None
        file = self.place(identity) / "record.json"
        return msgspec.json.decode(file.read_bytes(), type=self._cls) if file.exists() else None

    def get(self, identity: str) -> R:
        found = self.find(identity)
        if found is None:
            what = "volume" if self._cls is VolumeRecord else "snapshot"
            raise NotFound(f"{what} {identity!r} is unknown on this node")
        return found

    def all(self) -> list[R]:
        names = sorted(p.name for p in self._directory.iterdir() if not p.name.startswith("."))
        return [r for name in names if (r := self.find(name)) is not None]

    def drafted(self, identity: str) -> Path:
        """An empty directory to make it in."""
        draft = self._directory / f".new-{identity}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o711)
        return draft

    def publish(self, identity: str, draft: Path, record: R) -> None:
        (draft / "record.json").write_bytes(msgspec.json.encode(record))
        draft.replace(self.place(identity))

    def rewrite(self, identity: str, record: R) -> None:
        fresh = self.place(identity) / "record.new"
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(self.place(identity) / "record.json")

    def remove(self, identity: str) -> None:
        """Gone at once for those who look; its data a little later."""
        doomed = self._directory / f".new-gone-{identity}"
        if self.place(identity).exists():
            os.replace(self.place(identity), doomed)
        shutil.rmtree(doomed, ignore_errors=True)
