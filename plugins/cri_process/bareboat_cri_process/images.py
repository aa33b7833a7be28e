"""Images: the machine's own file system under the names of ``host_images``, and images loaded from a file.

What comes in: references, and OCI layouts or docker archives on disk. What goes out: ImageRecords with an unpacked root each. Nothing is
fetched from a registry here: an image that is not there is ErrImagePull with the command that would load it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.cri import Image
from bareboat.contracts.errors import InvalidConfig, NotFound
from bareboat_cri_process.translate import checked_reference, full_name, repository

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver needs of an image's configuration. ``id`` is the digest of that configuration, or "host"."""

    id: str
    tags: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    stop_signal: str = ""


class ImageStore:
    """A directory per image: ``image.json`` and ``rootfs``."""

    def __init__(self, directory: Path, host_images: tuple[str, ...]) -> None:
        self.directory = directory
        self._host_names = frozenset(host_images)
        self._asked = set(host_images)  # every tag of the machine is there; those that were asked for are listed
        self.host = ImageRecord(id="host", tags=tuple(full_name(n) for n in host_images), cmd=("/bin/sh",), user="0")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rubbish in directory.glob(".*"):  # what an earlier process was loading or removing
            shutil.rmtree(rubbish, ignore_errors=True)

    def __iter__(self) -> Iterator[ImageRecord]:
        for path in sorted(self.directory.glob("*/image.json")):
            if not path.parent.name.startswith("."):
                yield msgspec.json.decode(path.read_bytes(), type=ImageRecord)

    def listing(self) -> list[Image]:
        host = msgspec.structs.replace(self.host, tags=tuple(sorted({*self.host.tags, *self._asked})))
        return [Image(id=i.id, tags=i.tags, size=i.size, user=i.user) for i in (host, *self)]

    def get(self, reference: str) -> ImageRecord:
        """NotFound unless it is here."""
        if reference != self.host.id:
            checked_reference(reference) if not reference.startswith("sha256:") else None
        if repository(reference) in self._host_names:
            self._asked.add(reference)
            return self.host
        for image in self:
            if reference == image.id or full_name(reference) in image.tags:
                return image
        message = f'image "{reference}" is not on this node, and the process runtime does not pull from registries: '
        raise NotFound(message + "load it from a file, or use the node's own file system as `image: host`", reason="ErrImagePull")

    def root(self, image: ImageRecord) -> Path:
        return Path("/") if image.id == self.host.id else self._path(image.id) / "rootfs"

    def size(self) -> int:
        return sum(image.size for image in self)

    def remove(self, reference: str) -> None:
        try:
            image = self.get(reference)
        except NotFound:
            return
        if image.id == self.host.id:
            return
        gone = self.directory / f".gone-{self._path(image.id).name}"
        self._path(image.id).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def load(self, source: Path, tag: str = "") -> list[ImageRecord]:
        """Unpack an OCI layout (directory or tar) or a docker archive. ``tag`` names the image where the file does not."""
        if source.is_dir():
            return self._load(source, tag)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix=".load-") as scratch:
            try:
                with tarfile.open(source) as archive:
                    archive.extractall(scratch, filter="data")
            except (tarfile.TarError, OSError) as error:
                raise InvalidConfig(f"{source} is no OCI layout and no docker archive: {error}", reason="InvalidImage") from error
            return self._load(Path(scratch), tag)

    def _load(self, layout: Path, tag: str) -> list[ImageRecord]:
        if (layout / "manifest.json").is_file():
            found = [
                (layout / entry["Config"], [layout / p for p in entry["Layers"]], entry.get("RepoTags") or [])
                for entry in json.loads((layout / "manifest.json").read_bytes())
            ]
        elif (layout / "index.json").is_file():
            found = [_oci_image(layout, manifest) for manifest in _manifests(layout, json.loads((layout / "index.json").read_bytes()))]
        else:
            raise InvalidConfig(f"{layout} holds neither index.json nor manifest.json", reason="InvalidImage")
        return [self._store(config, layers, tags or ([tag] if tag else [])) for config, layers, tags in found]

    def _store(self, config_path: Path, layers: list[Path], tags: list[str]) -> ImageRecord:
        content = config_path.read_bytes()
        image_id = "sha256:" + hashlib.sha256(content).hexdigest()
        names = tuple(full_name(checked_reference(t)) for t in tags)
        known = next((image for image in self if image.id == image_id), None)
        self._untag(set(names))
        if known is not None:
            self._write(msgspec.structs.replace(known, tags=tuple(sorted({*names, *known.tags}))))
            return self.get(image_id)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix=".new-") as scratch:
            made = Path(scratch) / "image"
            (made / "rootfs").mkdir(parents=True)
            (made / "rootfs").chmod(0o755)
            size = sum(_unpack(layer, made / "rootfs") for layer in layers)
            (made / "image.json").write_bytes(msgspec.json.encode(_image(image_id, names, size, json.loads(content).get("config") or {})))
            made.rename(self._path(image_id))
        return self.get(image_id)

    def _untag(self, names: set[str]) -> None:
        for image in self:
            if names & set(image.tags):
                self._write(msgspec.structs.replace(image, tags=tuple(t for t in image.tags if t not in names)))

    def _write(self, image: ImageRecord) -> None:
        path = self._path(image.id) / "image.json"
        partial = path.with_suffix(".new")
        partial.write_bytes(msgspec.json.encode(image))
        partial.rename(path)

    def _path(self, image_id: str) -> Path:
        return self.directory / image_id.removeprefix("sha256:")


def _image(image_id: str, tags: tuple[str, ...], size: int, config: dict[str, Any]) -> ImageRecord:
    return ImageRecord(
        id=image_id,
        tags=tags,
        size=size,
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        cmd=tuple(config.get("Cmd") or ()),
        env=tuple(config.get("Env") or ()),
        working_dir=config.get("WorkingDir") or "",
        stop_signal=config.get("StopSignal") or "",
    )


def _manifests(layout: Path, index: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The image manifests of an index for this machine, with the name that the index gives them."""
    for entry in index.get("manifests", ()):
        where = entry.get("platform") or {}
        if where.get("architecture", _MACHINES[platform.machine()]) != _MACHINES[platform.machine()]:
            continue
        content = json.loads(_blob(layout, entry["digest"]).read_bytes())
        notes = entry.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")
        if "manifests" in content:
            yield from ({**m, "name": m.get("name") or name} for m in _manifests(layout, content))
        else:
            yield {**content, "name": name}


def _oci_image(layout: Path, manifest: dict[str, Any]) -> tuple[Path, list[Path], list[str]]:
    layers = [_blob(layout, layer["digest"]) for layer in manifest["layers"]]
    return _blob(layout, manifest["config"]["digest"]), layers, [manifest["name"]] if manifest["name"] else []


def _blob(layout: Path, digest: str) -> Path:
    kind, _, value = digest.partition(":")
    if not (kind.isalnum() and value.isalnum()):
        raise InvalidConfig(f"malformed digest {digest!r}", reason="InvalidImage")
    return layout / "blobs" / kind / value


def _unpack(layer: Path, root: Path) -> int:
    with layer.open("rb") as stream:
        command = [sys.executable, "-I", "-m", "bareboat_cri_process.unpack", str(root)]
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise InvalidConfig(f"layer {layer.name} cannot be unpacked: {done.stderr.strip().splitlines()[-1]}", reason="InvalidImage")
    return int(done.stdout)
