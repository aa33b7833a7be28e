"""Image files as the daemon takes them: what ``docker save`` writes as it is, an OCI layout with the page that the daemon looks for.

What comes in: a tar or a directory. What goes out: a tar that ``docker load`` reads. The blobs of a layout go in as they are; only
``manifest.json`` is new: for each image of this machine's kind which blobs are its config and layers, and its names.
"""

from __future__ import annotations

import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bareboat.contracts.errors import InvalidConfig

_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_DEPTH = 4

Read = Callable[[str], Any]


@contextmanager
def docker_archive(path: Path) -> Iterator[IO[bytes]]:
    """An open file for the daemon. Raises InvalidConfig if there is no image in ``path``."""
    with tempfile.TemporaryFile() as scratch:
        try:
            if path.is_dir():
                with tarfile.open(fileobj=scratch, mode="w") as packed:
                    packed.add(path, arcname=".")
                scratch.seek(0)
                with _complete(scratch) as archive:
                    yield archive
            else:
                with path.open("rb") as file, _complete(file) as archive:
                    yield archive
        except (tarfile.TarError, EOFError) as error:
            raise InvalidConfig(f"{path} is not an image archive: {error}") from error
        except OSError as error:
            if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
                raise InvalidConfig(f"{path} cannot be read: {error.strerror}") from error
            raise


def _complete(file: IO[bytes]) -> IO[bytes]:
    with tarfile.open(fileobj=file) as source:
        members = {m.name.removeprefix("./"): m for m in source.getmembers() if m.isfile()}
        if "manifest.json" in members or "index.json" not in members:
            file.seek(0)
            return file
        described = list(_images(_reader(source, members)))
        if not described:
            raise InvalidConfig(f"there is no image for {_MACHINE} in this OCI layout")
        return _rewritten(source, members, described)


def _reader(source: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> Read:
    def read(name: str) -> Any:
        content = source.extractfile(members[name]) if name in members else None
        if content is None:
            raise InvalidConfig(f"the OCI layout is incomplete: {name} is missing")
        try:
            return json.load(content)
        except ValueError as error:
            raise InvalidConfig(f"{name} in the OCI layout is damaged: {error}") from error

    return read


def _images(read: Read) -> Iterator[dict[str, Any]]:
    for entry in read("index.json").get("manifests", ()):
        names = [entry.get("annotations", {}).get(n, "") for n in _NAMES]
        tags = [n for n in names if "/" in n or ":" in n][:1]
        for manifest in _manifests(entry, read, _DEPTH):
            layers = [_blob(layer["digest"]) for layer in manifest["layers"]]
            yield {"Config": _blob(manifest["config"]["digest"]), "RepoTags": tags, "Layers": layers}


def _manifests(entry: dict[str, Any], read: Read, depth: int) -> Iterator[dict[str, Any]]:
    """Of this machine's kind; an index may hold indexes."""
    system = entry.get("platform", {})
    if system.get("architecture", _MACHINE) != _MACHINE or system.get("os", "linux") != "linux" or depth == 0:
        return
    found = read(_blob(entry["digest"]))
    if "layers" in found:
        yield found
    for child in found.get("manifests", ()):
        yield from _manifests(child, read, depth - 1)


def _blob(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def _rewritten(source: tarfile.TarFile, members: dict[str, tarfile.TarInfo], described: list[dict[str, Any]]) -> IO[bytes]:
    target = tempfile.TemporaryFile()  # noqa: SIM115  whoever reads it closes it
    wanted = {name for image in described for name in (image["Config"], *image["Layers"])}
    with tarfile.open(fileobj=target, mode="w") as packed:
        for name in sorted(wanted):
            if name not in members:
                target.close()
                raise InvalidConfig(f"the OCI layout is incomplete: {name} is missing")
            members[name].name = name
            packed.addfile(members[name], source.extractfile(members[name]))
        content = json.dumps(described).encode()
        page = tarfile.TarInfo("manifest.json")
        page.size = len(content)
        packed.addfile(page, io.BytesIO(content))
    target.seek(0)
    return target
