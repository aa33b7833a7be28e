"""Manifests: which image of an index is this machine's, and what an image is made of. Pure.

What comes in: the documents of registries and layouts, of either family (OCI, Docker schema 2). What goes out: descriptors, checked:
whatever they claim is used as a file name or compared with a digest later.
"""

from __future__ import annotations

import platform
import re
from typing import TypeVar

import msgspec

from bareboat.contracts.errors import InvalidConfig, NotFound, Unsupported

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MACHINES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", "v8")}
INDEXES = frozenset({"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"})
MANIFESTS = frozenset({"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"})
#: A document that is larger is no manifest and no configuration.
LARGEST = 8 << 20


class Platform(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    size: int = 0
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """Of an image (``config`` and ``layers``) or an index (``manifests``); ``fs_layers`` is what schema 1 had."""

    media_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] | None = None
    fs_layers: tuple[object, ...] = ()


class RunConfig(msgspec.Struct, frozen=True, rename="pascal"):
    user: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    working_dir: str | None = None
    stop_signal: str | None = None


class RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[str, ...] = ()


class Configuration(msgspec.Struct, frozen=True):
    """What an image says of itself: how it runs, and the digests of its layers once they are unpacked."""

    config: RunConfig | None = None
    rootfs: RootFs | None = None

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(checked_digest(d) for d in self.rootfs.diff_ids) if self.rootfs else ()


def checked_digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidConfig(f"malformed or unknown digest {digest!r}", reason="InvalidImage")
    return digest


def read_manifest(content: bytes) -> Manifest:
    manifest = _decoded(content, Manifest, "manifest")
    if manifest.fs_layers:
        raise Unsupported("the image has a manifest of Docker's schema 1, which registries gave up: push it again", reason="ErrImagePull")
    for descriptor in (*manifest.layers, *(manifest.manifests or ()), *([manifest.config] if manifest.config else ())):
        checked_digest(descriptor.digest)
    return manifest


def read_configuration(content: bytes) -> Configuration:
    return _decoded(content, Configuration, "configuration")


def for_this_machine(manifest: Manifest, name: str) -> Descriptor:
    """The entry of an index; NotFound if the image was not built for such machines."""
    fitting = [(score, d) for d in manifest.manifests or () if (score := _fit(d.platform)) > 0]
    if not fitting:
        there = ", ".join(sorted({_words(d.platform) for d in manifest.manifests or () if d.platform})) or "nothing"
        raise NotFound(f"{name} has no image for {_words(_machine())}, only for {there}", reason="ErrImagePull")
    return max(fitting, key=lambda pair: pair[0])[1]


def fits(where: Platform | None) -> bool:
    return _fit(where) > 0


def _machine() -> Platform:
    architecture, variant = _MACHINES.get(platform.machine(), (platform.machine(), ""))
    return Platform(architecture, "linux", variant)


def _fit(where: Platform | None) -> int:
    """0 does not run here; an entry that says nothing is the last resort, the very variant the first choice."""
    if where is None or not (where.os or where.architecture):
        return 1
    mine = _machine()
    if where.os not in ("", mine.os) or where.architecture != mine.architecture:
        return 0
    if where.variant in (mine.variant, ""):
        return 3 if where.variant == mine.variant else 2
    return 0


def _words(where: Platform) -> str:
    return "/".join(part for part in (where.os, where.architecture, where.variant) if part)


D = TypeVar("D", Manifest, Configuration)


def _decoded(content: bytes, kind: type[D], what: str) -> D:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidConfig(f"the image's {what} makes no sense: {error}", reason="InvalidImage") from error
