"""Images made in memory, and put into registries and files: what tests of drivers that pull need, without docker.

What comes in: lists of files. What goes out: layers, configs and manifests as bytes with their digests; ``push`` hands them to a registry
over its HTTP API, ``write_layout`` and ``write_docker_archive`` to the disk. Not here: a registry (``testing.registry`` starts Debian's).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
BUSYBOX = "/bin/busybox"

#: A name with its content: bytes are a file, str is a symbolic link's target, None is a directory, a TarInfo is taken as it is.
Entry = tuple[str, bytes | str | None] | tarfile.TarInfo


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar(entries: Iterable[Entry]) -> bytes:
    """A plain tar, the same bytes for the same entries."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            archive.addfile(*((entry,) if isinstance(entry, tarfile.TarInfo) else _member(*entry)))
    return stream.getvalue()


def _member(name: str, content: bytes | str | None) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    member = tarfile.TarInfo(name)
    member.mode = 0o755
    if content is None:
        member.type = tarfile.DIRTYPE
    elif isinstance(content, str):
        member.type, member.linkname = tarfile.SYMTYPE, content
    else:
        member.size = len(content)
    return member, io.BytesIO(content) if isinstance(content, bytes) else None


def busybox(*names: str) -> list[Entry]:
    """Entries of a static busybox under the names of some of its tools."""
    tools = names or ("sh", "cat", "id", "ls", "sleep", "pwd", "echo", "stat", "true", "httpd", "env")
    return [("bin", None), ("bin/busybox", Path(BUSYBOX).read_bytes()), *((f"bin/{n}", "busybox") for n in tools)]


@dataclass(frozen=True)
class Blob:
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass
class BuiltImage:
    """One manifest with what it names, or (``children``) an index of several."""

    manifest: Blob
    blobs: list[Blob] = field(default_factory=list)
    children: list[BuiltImage] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def config_digest(self) -> str:
        return str(json.loads(self.manifest.content)["config"]["digest"])


def build(
    layers: Sequence[Iterable[Entry] | bytes],
    *,
    docker: bool = False,
    compression: str = "gzip",
    architecture: str = MACHINE,
    diff_ids: Sequence[str] = (),
    **config: Any,
) -> BuiltImage:
    """``layers`` are entries or finished tars; ``config`` are fields of the image's config (Cmd, Env, User …)."""
    tars = [entry if isinstance(entry, bytes) else tar(entry) for entry in layers]
    packed = [Blob(_compressed(content, compression), _layer_type(docker, compression)) for content in tars]
    found = list(diff_ids) or [digest_of(content) for content in tars]
    text = {"architecture": architecture, "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": found}}
    described = Blob(json.dumps(text).encode(), DOCKER_CONFIG if docker else OCI_CONFIG)
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": described.descriptor, "layers": [b.descriptor for b in packed]}
    return BuiltImage(Blob(json.dumps(manifest).encode(), media_type), [described, *packed])


def index(images: dict[str, BuiltImage], *, docker: bool = False) -> BuiltImage:
    """Several images in one, by platform: ``linux/amd64``, ``linux/arm64/v8``."""
    entries = []
    for name, image in images.items():
        system, architecture, *variant = name.split("/")
        where = {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
        entries.append(image.manifest.descriptor | {"platform": where})
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    text = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    return BuiltImage(Blob(json.dumps(text).encode(), media_type), children=list(images.values()))


def _compressed(content: bytes, how: str) -> bytes:
    if how == "zstd":
        import zstandard

        return zstandard.ZstdCompressor().compress(content)
    return gzip.compress(content, 1, mtime=0) if how == "gzip" else content


def _layer_type(docker: bool, compression: str) -> str:
    return DOCKER_LAYER if docker else OCI_LAYER + (f"+{compression}" if compression else "")


async def push(url: str, repository: str, tag: str, image: BuiltImage, *, auth: tuple[str, str] | None = None) -> str:
    """To the registry at ``url`` (``http://127.0.0.1:5000``); an empty ``tag`` pushes by digest. Returns the manifest's digest."""
    login = "Basic " + base64.b64encode(":".join(auth or ()).encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": login} if auth else {}, raise_for_status=True) as session:
        await _push(session, f"{url}/v2/{repository}", tag, image)
    return image.digest


async def _push(session: aiohttp.ClientSession, base: str, tag: str, image: BuiltImage) -> None:
    for child in image.children:
        await _push(session, base, "", child)
    for blob in image.blobs:
        async with session.post(f"{base}/blobs/uploads/") as answer:
            place = answer.headers["Location"]
        target = place + ("&" if "?" in place else "?") + f"digest={blob.digest}"
        async with session.put(target, data=io.BytesIO(blob.content), headers={"Content-Type": "application/octet-stream"}):
            pass
    headers = {"Content-Type": image.manifest.media_type}
    async with session.put(f"{base}/manifests/{tag or image.digest}", data=image.manifest.content, headers=headers):
        pass


def write_layout(directory: Path, images: dict[str, BuiltImage]) -> Path:
    """An OCI layout with the images under their names."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def keep(image: BuiltImage) -> None:
        for blob in (image.manifest, *image.blobs):
            (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.content)
        for child in image.children:
            keep(child)

    entries = []
    for name, image in images.items():
        keep(image)
        entries.append(image.manifest.descriptor | {"annotations": {"io.containerd.image.name": name}})
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return directory


def write_docker_archive(path: Path, image: BuiltImage, tags: Sequence[str]) -> Path:
    """What ``docker save`` writes."""
    config, *layers = image.blobs
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    files: list[Entry] = [("config.json", config.content), *((n, b.content) for n, b in zip(names, layers, strict=True))]
    path.write_bytes(tar([*files, ("manifest.json", json.dumps(manifest).encode())]))
    return path
