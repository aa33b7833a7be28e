"""Blobs on disk, by their digest: written under another name, verified, made durable, and only then there.

What comes in: bytes in pieces. What goes out: files that hold exactly what their name says. A download that was cut off leaves its
beginning in ``partial``, to be continued by this process or the next; nothing reads from there.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bareboat.contracts.errors import DriverError

#: A beginning that nobody continued for a day is not worth its space.
_STALE = 86400


class Corrupt(DriverError):
    """What arrived is not what the digest says."""

    default_reason = "ErrImagePull"


class Blobs:
    """``directory``/sha256 and ``directory``/partial."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "sha256"
        self._partial = directory / "partial"
        for path in (self.directory, self._partial):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self.directory / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def put(self, content: bytes, digest: str) -> None:
        if not self.has(digest):
            with self.write(digest, resume=False) as writing:
                writing.add(content)
                writing.commit()

    def write(self, digest: str, *, resume: bool = True) -> Writing:
        return Writing(self._partial / digest.removeprefix("sha256:"), self.path(digest), digest, resume=resume)

    def sweep(self, wanted: frozenset[str]) -> None:
        """Delete blobs that no image names, and beginnings that were given up."""
        for path in self.directory.iterdir():
            if f"sha256:{path.name}" not in wanted:
                path.unlink()
        for path in self._partial.iterdir():
            with suppress(FileNotFoundError):  # it may be finished at this moment
                if path.stat().st_mtime < time.time_ns() / 1e9 - _STALE:
                    path.unlink()

    def size(self) -> int:
        return sum(path.stat().st_size for where in (self.directory, self._partial) for path in where.iterdir())


class Writing:
    """One blob that is being written; ``size`` is how much of it is there already. Leaving without ``commit`` keeps the beginning."""

    def __init__(self, partial: Path, final: Path, digest: str, *, resume: bool) -> None:
        self._partial, self._final, self._digest = partial, final, digest
        self._hash = hashlib.sha256()
        self.size = 0
        self._file: BinaryIO = partial.open("r+b" if resume and partial.exists() else "w+b", buffering=0)
        while piece := self._file.read(1 << 20):
            self._hash.update(piece)
            self.size += len(piece)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(piece)
        self.size += len(piece)

    def restart(self) -> None:
        """Forget what is there: the other side does not continue in the middle."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.size = hashlib.sha256(), 0

    def discard(self) -> None:
        self._partial.unlink(missing_ok=True)

    def commit(self) -> None:
        """Raises Corrupt, and then nothing is kept."""
        found = "sha256:" + self._hash.hexdigest()
        if found != self._digest:
            self.discard()
            raise Corrupt(f"unexpected content: the digest of {self.size} bytes is {found}, not {self._digest}")
        os.fsync(self._file.fileno())
        self._partial.rename(self._final)
        sync_directory(self._final.parent)


def sync_directory(path: Path) -> None:
    """So that a rename within it survives a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    partial = path.with_name(f".{path.name}.new")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_directory(path.parent)
