"""Images: the machine's own file system under the names of ``host_images``, and those that were pulled or loaded.

What comes in: references, and what ``pull`` and ``archives`` have fetched and unpacked. What goes out: ImageRecords, each with the layers
that a container's root is made of. A record appears when all that it names is on disk, and goes before any of it does.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bareboat.contracts.cri import Image
from bareboat.contracts.errors import NotFound
from bareboat_cri_process.content import Blobs, write_durably
from bareboat_cri_process.layers import LayerStore
from bareboat_cri_process.manifests import Configuration, RunConfig
from bareboat_cri_process.references import listed_name, repository


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver needs of an image's configuration. ``id`` is the digest of that configuration, or "host". ``layers`` are names
    of directories, bottom first; ``blobs`` are the documents it came with."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    stop_signal: str = ""


class ImageStore:
    """``directory`` holds records, blobs and layers."""

    def __init__(self, directory: Path, host_images: tuple[str, ...]) -> None:
        self.directory = directory
        self._records = directory / "records"
        self._records.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rubbish in directory.glob(".*"):  # what an earlier process was loading
            shutil.rmtree(rubbish, ignore_errors=True)
        self._host_names = frozenset(host_images)
        self._asked = set(host_images)  # every tag of the machine is there; those that were asked for are listed
        self.host = ImageRecord(id="host", tags=tuple(listed_name(n) for n in host_images), cmd=("/bin/sh",), user="0")
        self.blobs = Blobs(directory / "blobs")
        self.layers = LayerStore(directory / "layers")
        self._lock = threading.RLock()
        self._pins: Counter[str] = Counter()
        self._pin_lock = threading.Lock()  # an event loop may wait for it: never held for long
        self.sweep()

    def __iter__(self) -> Iterator[ImageRecord]:
        """Those that are there all the while, and perhaps some that come or go."""
        for path in sorted(self._records.glob("*.json")):
            if path.name.startswith("."):
                continue
            try:
                record = path.read_bytes()
            except FileNotFoundError:  # removed meanwhile
                continue
            yield msgspec.json.decode(record, type=ImageRecord)

    def listing(self) -> list[Image]:
        host = msgspec.structs.replace(self.host, tags=tuple(sorted({*self.host.tags, *self._asked})))
        return [Image(id=i.id, tags=i.tags, digests=i.digests, size=i.size, user=i.user) for i in (host, *self)]

    def is_host(self, reference: str) -> bool:
        """Also remembers that it was asked for."""
        if reference != self.host.id and repository(reference) in self._host_names:
            listed_name(reference)
            self._asked.add(reference)
            return True
        return reference == self.host.id

    def find(self, reference: str) -> ImageRecord | None:
        """By id, tag or digest. Raises NotFound with reason InvalidImageName."""
        if self.is_host(reference):
            return self.host
        if reference.startswith("sha256:"):
            return next((image for image in self if image.id == reference), None)
        name = listed_name(reference)
        return next((image for image in self if name in image.tags or name in image.digests), None)

    def get(self, reference: str) -> ImageRecord:
        """NotFound unless it is here."""
        found = self.find(reference)
        if found is None:
            raise NotFound(f'image "{reference}" is not on this node', reason="ErrImagePull")
        return found

    def roots(self, image: ImageRecord) -> tuple[Path, ...]:
        """The directories that make up its file system, topmost first."""
        if image.id == self.host.id:
            return (Path("/"),)
        return tuple(self.layers.path(name) for name in reversed(image.layers))

    def size(self) -> int:
        """Of what is on disk: a layer of several images counts once."""
        return sum(self.layers.size(name) for name in {name for image in self for name in image.layers})

    @contextmanager
    def pinned(self, blobs: list[str]) -> Iterator[None]:
        """While an image is being made its blobs stay, though no record names them yet."""
        with self._pin_lock:
            self._pins.update(blobs)
        try:
            yield
        finally:
            with self._pin_lock:
                self._pins.subtract(blobs)

    def commit(self, image_id: str, config: Configuration, record: ImageRecord) -> ImageRecord:
        """Let an image appear under the names of ``record``, which other images then no longer have."""
        with self._lock:
            known = next((image for image in self if image.id == image_id), None)
            self._untag(set(record.tags), except_for=image_id)
            if known is not None:
                tags, digests = sorted({*known.tags, *record.tags}), sorted({*known.digests, *record.digests})
                found = msgspec.structs.replace(record, tags=tuple(tags), digests=tuple(digests))
                found = msgspec.structs.replace(found, blobs=tuple(sorted({*known.blobs, *record.blobs})))
            else:
                found = record
            size = sum(self.layers.size(name) for name in record.layers)
            found = _described(msgspec.structs.replace(found, id=image_id, size=size), config.config or RunConfig())
            self._write(found)
            return found

    def remove(self, reference: str) -> None:
        """A tag that is not the only one goes alone; an image goes with what no other one needs."""
        with self._lock:
            image = self.find(reference)
            if image is None or image.id == self.host.id:
                return
            name = "" if reference.startswith("sha256:") else listed_name(reference)
            if len(image.tags) > 1 and name in image.tags:
                self._write(msgspec.structs.replace(image, tags=tuple(t for t in image.tags if t != name)))
                return
            self._path(image.id).unlink(missing_ok=True)
            self.sweep()

    def sweep(self) -> None:
        """Remove what no image needs: of those that are gone, and of an earlier process that was killed."""
        with self._lock:
            images = list(self)
            named = {digest for image in images for digest in (image.id, *image.blobs)}
            with self._pin_lock:
                self.blobs.sweep(frozenset(named | {digest for digest, count in self._pins.items() if count > 0}))
            self.layers.sweep(frozenset(name for image in images for name in image.layers))

    def _untag(self, names: set[str], *, except_for: str) -> None:
        for image in self:
            if image.id != except_for and names & set(image.tags):
                self._write(msgspec.structs.replace(image, tags=tuple(t for t in image.tags if t not in names)))

    def _write(self, image: ImageRecord) -> None:
        write_durably(self._path(image.id), msgspec.json.encode(image))

    def _path(self, image_id: str) -> Path:
        return self._records / (image_id.removeprefix("sha256:") + ".json")


def _described(image: ImageRecord, config: RunConfig) -> ImageRecord:
    return msgspec.structs.replace(
        image,
        user=config.user or "",
        entrypoint=config.entrypoint or (),
        cmd=config.cmd or (),
        env=config.env or (),
        working_dir=config.working_dir or "",
        stop_signal=config.stop_signal or "",
    )
