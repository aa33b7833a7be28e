"""Images from files: OCI layouts (a directory or a tar of it) and what ``docker save`` writes.

What comes in: a path. What goes out: images in the store, made of the same layers as those that are pulled. Nothing of an image that
cannot be read to its end stays.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bareboat.contracts.errors import InvalidConfig
from bareboat_cri_process.images import ImageRecord, ImageStore
from bareboat_cri_process.manifests import Descriptor, fits, read_configuration, read_manifest
from bareboat_cri_process.references import listed_name, parse

#: What an archive can bring about: links to nothing and in circles, files below files.
_ODD = (KeyError, RecursionError, FileExistsError, NotADirectoryError, IsADirectoryError)
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Found(msgspec.Struct, frozen=True):
    """One image in a file; ``manifest`` is its digest if it has one."""

    config: Path
    layers: list[Path]
    names: list[str]
    manifest: str = ""


class SavedImage(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of a docker archive's manifest.json."""

    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


def load(store: ImageStore, source: Path, tag: str = "") -> list[ImageRecord]:
    """``tag`` names the image where the file does not."""
    if source.is_dir():
        return _load(store, source, tag)
    with tempfile.TemporaryDirectory(dir=store.directory, prefix=".load-") as scratch:
        try:
            with tarfile.open(source) as archive:
                _extract(archive, Path(scratch))
        except (tarfile.TarError, EOFError, *_ODD) as error:
            raise InvalidConfig(f"this is no OCI layout and no docker archive: {error}", reason="InvalidImage") from error
        return _load(store, Path(scratch), tag)


def _extract(archive: tarfile.TarFile, directory: Path) -> None:
    """Files, and as files too what links name within the archive. Nothing that is written is a link, so no name leads through one."""
    for member in archive:
        name = os.path.normpath(member.name.lstrip("/"))
        if name == ".." or name.startswith("../"):
            raise tarfile.ReadError(f"{member.name!r} leads outside of the archive")
        content = archive.extractfile(member) if member.isfile() or member.issym() or member.islnk() else None
        if content is not None:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            with content, (directory / name).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def _load(store: ImageStore, layout: Path, tag: str) -> list[ImageRecord]:
    try:
        found = list(_images(layout))
        missing = next((path for image in found for path in (image.config, *image.layers) if not path.is_file()), None)
    except msgspec.MsgspecError as error:
        raise InvalidConfig(f"{layout}: {error}", reason="InvalidImage") from error
    if missing is not None:
        raise InvalidConfig(f"the archive lacks {missing.relative_to(layout)}", reason="InvalidImage")
    return [_store(store, image, image.names or ([tag] if tag else [])) for image in found]


def _images(layout: Path) -> Iterator[Found]:
    if (layout / "manifest.json").is_file():
        for saved in msgspec.json.decode((layout / "manifest.json").read_bytes(), type=list[SavedImage]):
            layers = [_inside(layout, path) for path in saved.layers]
            yield Found(_inside(layout, saved.config), layers, saved.repo_tags or [])
    elif (layout / "index.json").is_file():
        for entry in read_manifest((layout / "index.json").read_bytes()).manifests or ():
            yield from _of_entry(layout, entry, _name(entry))
    else:
        raise InvalidConfig(f"{layout} holds neither index.json nor manifest.json", reason="InvalidImage")


def _of_entry(layout: Path, entry: Descriptor, name: str) -> Iterator[Found]:
    """An index within the index may be of several machines: only this one's is taken."""
    path = _blob(layout, entry.digest)
    if not fits(entry.platform) or not path.is_file():
        return
    manifest = read_manifest(path.read_bytes())
    for child in manifest.manifests or ():
        yield from _of_entry(layout, child, _name(child) or name)
    if manifest.config is not None:
        layers = [_blob(layout, layer.digest) for layer in manifest.layers]
        yield Found(_blob(layout, manifest.config.digest), layers, [name] if name else [], entry.digest)


def _name(entry: Descriptor) -> str:
    """What the entry is called; a bare tag names no image."""
    notes = entry.annotations or {}
    return next((notes[key] for key in _NAMES if {"/", ":"} & set(notes.get(key, ""))), "")


def _store(store: ImageStore, found: Found, names: list[str]) -> ImageRecord:
    content = found.config.read_bytes()
    image_id = "sha256:" + hashlib.sha256(content).hexdigest()
    config = read_configuration(content)
    tags = tuple(sorted({listed_name(name) for name in names}))
    diff_ids = config.diff_ids
    if diff_ids and len(diff_ids) != len(found.layers):
        raise InvalidConfig(f"the image has {len(found.layers)} layers and describes {len(diff_ids)}", reason="InvalidImage")
    known = diff_ids or tuple(_digest(path) for path in found.layers)
    parts = store.layers.parts(known)
    directories = [part.name for part in parts]
    digests = {f"{parse(tag).name}@{found.manifest}" for tag in tags} if found.manifest else set()
    with store.layers.pinned(directories):
        for number, part in enumerate(parts):
            checked = [diff_ids[n] if diff_ids else "" for n in part.layers]
            store.layers.unpack(part, directories[:number], [found.layers[n] for n in part.layers], checked)
        record = ImageRecord(id=image_id, tags=tags, digests=tuple(sorted(digests)), layers=tuple(directories))
        with store.pinned([image_id]):
            store.blobs.put(content, image_id)
            return store.commit(image_id, config, record)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs/sha256" / digest.removeprefix("sha256:")


def _inside(layout: Path, name: str) -> Path:
    path = layout / name
    if not path.resolve().is_relative_to(layout.resolve()):
        raise InvalidConfig(f"the archive names a file outside of itself: {name!r}", reason="InvalidImage")
    return path
