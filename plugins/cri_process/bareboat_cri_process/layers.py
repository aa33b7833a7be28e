"""Unpacked layers: one directory each, shared by all images that begin with the same layers, and the lower directories of an overlay.

What comes in: verified blobs and the digests of their contents. What goes out: names of directories. A layer is known by its chain (itself
and all below it), as the same tar means different things over different files. Where an overlay's upper layer is impossible, a whole
image is one directory. Not here: which layers an image has (``images``), and who may be rid of them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import msgspec

from bareboat.contracts.errors import Exhausted, InvalidConfig
from bareboat_cri_process import translate
from bareboat_cri_process.content import sync_directory
from bareboat_cri_process.unpack import Done, Failed, Job


class Part(msgspec.Struct, frozen=True):
    """A directory to be: made of the layers with these indexes."""

    name: str
    layers: tuple[int, ...]


class LayerStore:
    """``overlay`` False: one directory per image."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.overlay = True
        self._pins: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rubbish in directory.glob(".*"):  # what an earlier process was unpacking or removing
            shutil.rmtree(rubbish, ignore_errors=True)

    def parts(self, diff_ids: Sequence[str]) -> tuple[Part, ...]:
        """Bottom first. No layers make no directory, which an overlay cannot have: one that is empty stands for them."""
        chains = _chains(diff_ids)
        if self.overlay and chains:
            return tuple(Part(_name(chain), (number,)) for number, chain in enumerate(chains))
        return (Part(_name("all " + "".join(chains[-1:])), tuple(range(len(chains)))),)

    def has(self, name: str) -> bool:
        return (self.directory / name).is_dir()

    def path(self, name: str) -> Path:
        return self.directory / name

    def size(self, name: str) -> int:
        try:
            return int((self.directory / f"{name}.size").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def names(self) -> list[str]:
        return [entry.name for entry in os.scandir(self.directory) if entry.is_dir() and not entry.name.startswith(".")]

    @contextmanager
    def pinned(self, names: Sequence[str]) -> Iterator[None]:
        """While an image is being made of them they stay, though no record names them yet."""
        with self._lock:
            self._pins.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._pins.subtract(names)

    def sweep(self, wanted: frozenset[str]) -> None:
        """Remove all others that are not being used. What takes long is done without the lock: an event loop may wait for it."""
        with self._lock:
            unwanted = [name for name in self.names() if name not in wanted and self._pins[name] <= 0]
            gone = [self.directory / f".gone-{name}-{token_hex(4)}" for name in unwanted]
            for name, path in zip(unwanted, gone, strict=True):
                self.path(name).rename(path)
                (self.directory / f"{name}.size").unlink(missing_ok=True)
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)

    def unpack(self, part: Part, below: Sequence[str], blobs: Sequence[Path], diff_ids: Sequence[str]) -> None:
        """``blobs`` and ``diff_ids`` of the part's layers; ``below`` names the directories under it, bottom first."""
        with self._alone(part.name):
            if self.has(part.name):
                return
            scratch = self.directory / f".new-{part.name}-{token_hex(4)}"
            try:
                size = self._unpack(scratch, tuple(reversed(below)), blobs, diff_ids)
                (self.directory / f"{part.name}.size").write_text(str(size))
                (scratch / "upper").rename(self.path(part.name))
                sync_directory(self.directory)
            except OSError as error:
                raise translate.machine_failure(error) from error
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def _unpack(self, scratch: Path, lowers: tuple[str, ...], blobs: Sequence[Path], diff_ids: Sequence[str]) -> int:
        places = {name: scratch / name for name in ("upper", "work", "merged")}
        for path in places.values():
            path.mkdir(parents=True)
        places["upper"].chmod(0o755)
        job = Job(str(self.directory), lowers, **{name: str(path) for name, path in places.items()})
        return sum(_run(job, blob, diff_id) for blob, diff_id in zip(blobs, diff_ids, strict=True))

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks[name]
        with lock:
            yield


def _run(job: Job, blob: Path, diff_id: str) -> int:
    with blob.open("rb") as stream:
        command = [sys.executable, "-I", "-m", "bareboat_cri_process.unpack", msgspec.json.encode(job).decode()]
        done = subprocess.run(command, stdin=stream, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise InvalidConfig(f"layer {blob.name} cannot be unpacked: {done.stderr.decode().strip()[-500:]}", reason="InvalidImage")
    answer = msgspec.json.decode(done.stdout, type=Done | Failed)
    if isinstance(answer, Failed):
        if answer.errno in translate.EXHAUSTED:
            raise Exhausted(f"layer {blob.name} cannot be unpacked: {answer.message}", reason="ErrImagePull")
        raise InvalidConfig(f"layer {blob.name} cannot be unpacked: {answer.message}", reason="InvalidImage")
    if diff_id and answer.diff_id != diff_id:
        message = f"layer {blob.name} holds {answer.diff_id}, the image's configuration says {diff_id}"
        raise InvalidConfig(message, reason="InvalidImage")
    return answer.size


def _chains(diff_ids: Sequence[str]) -> list[str]:
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}".encode() if chains else b""
        chains.append("sha256:" + hashlib.sha256(text).hexdigest() if text else diff_id)
    return chains


def _name(chain: str) -> str:
    """Short, as a page must hold all of an image's; 120 bits."""
    return base64.b32encode(hashlib.sha256(chain.encode()).digest()[:15]).decode().lower()
