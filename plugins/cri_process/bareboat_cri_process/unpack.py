"""Unpack one image layer: ``python -m bareboat_cri_process.unpack JOB < layer``, as a process of its own that is confined to one directory.

What comes in: a tar stream, plain or compressed, and a Job as JSON. What goes out: the layer as an overlay's upper directory, and a Done or
Failed as JSON. In a mount namespace of its own it mounts the layers below with the new one on top, changes its root to that, and does what
the tar says: the kernel turns removals into whiteouts, keeps the attributes of directories that the layer does not mention, and copies
what a hard link reaches for below. Whatever names and links a hostile layer has, they cannot lead outside.
"""

from __future__ import annotations

import copy
import ctypes
import encodings.idna  # noqa: F401  everything that unpacking may import lazily must be there before the root changes
import errno
import hashlib
import os
import shutil
import sys
import tarfile
import zlib

import msgspec

from bareboat_cri_process.compression import Hashed, Stream, opened

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


class Job(msgspec.Struct, frozen=True):
    """``lowers`` are names within ``layers``, topmost first; ``upper``, ``work`` and ``merged`` are directories that exist."""

    layers: str
    lowers: tuple[str, ...]
    upper: str
    work: str
    merged: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """``size`` of the files in bytes; ``diff_id`` is the digest of the uncompressed tar."""

    size: int
    diff_id: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    message: str
    errno: int = 0


class Unpacking:
    """One layer. What the layer itself has brought stays, in whatever order it names things: whiteouts are about the layers below."""

    def __init__(self) -> None:
        self.size = 0
        self._brought: set[str] = set()
        self._directories: list[tuple[str, float]] = []

    def run(self, stream: tarfile.TarFile) -> None:
        stream.extraction_filter = lambda member, _: member  # the new root confines; Pythons before 3.11.4 know no filters
        for member in stream:
            name = "/" + os.path.normpath("/" + member.name).lstrip("/")
            directory, base = os.path.split(name)
            if base == _OPAQUE:
                self._empty(directory)
            elif base.startswith(_WHITEOUT):
                self._hide(os.path.join(directory, base.removeprefix(_WHITEOUT)))
            else:
                self._extract(stream, member, name)
        for name, mtime in reversed(self._directories):
            if os.path.isdir(name) and not os.path.islink(name):
                os.utime(name, (mtime, mtime))

    def _extract(self, stream: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        if name != "/" and not (member.isdir() and _is_directory(name)):
            _remove(name)
        if member.islnk():
            os.makedirs(os.path.dirname(name), exist_ok=True)
            os.link("/" + os.path.normpath("/" + member.linkname).lstrip("/"), name, follow_symlinks=False)
        else:
            placed = copy.copy(member)
            placed.name = name.lstrip("/") or "."
            stream.extract(placed, "/", numeric_owner=True)
            _set_attributes(member, name)
            self.size += member.size
        if member.isdir():
            self._directories.append((name, member.mtime))
        while name not in self._brought and name != "/":
            self._brought.add(name)
            name = os.path.dirname(name)

    def _empty(self, directory: str) -> None:
        for entry in os.listdir(directory) if os.path.isdir(directory) else ():
            self._hide(os.path.join(directory, entry))

    def _hide(self, path: str) -> None:
        if path not in self._brought:
            _remove(path)
        elif _is_directory(path):
            self._empty(path)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove(path: str) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _set_attributes(member: tarfile.TarInfo, name: str) -> None:
    """Those that mean something to programs; an overlay's own would change what the layers below look like."""
    for key, value in member.pax_headers.items():
        attribute = key.removeprefix(_XATTR)
        if key.startswith(_XATTR) and (attribute.startswith("user.") or attribute == "security.capability"):
            try:
                os.setxattr(name, attribute, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise


def enter(job: Job) -> int:
    """Make the layers the root of this process. Returns the upper directory, to be synced."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    upper = os.open(job.upper, os.O_RDONLY | os.O_DIRECTORY)
    root = job.upper
    if job.lowers:
        _checked(libc.unshare(_CLONE_NEWNS), "unshare")
        _checked(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount /")
        os.chdir(job.layers)  # so that the names are short: all of them must fit into a page
        options = f"lowerdir={':'.join(job.lowers)},upperdir={_escaped(job.upper)},workdir={_escaped(job.work)}"
        _checked(libc.mount(b"overlay", job.merged.encode(), b"overlay", 0, options.encode()), "mount the layers below")
        root = job.merged
    os.chroot(root)
    os.chdir("/")
    os.umask(0o022)
    return upper


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _checked(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _unpacked(source: Stream, upper: int) -> Done:
    stream, unpacking = Hashed(source, hashlib.sha256()), Unpacking()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        unpacking.run(archive)
    while stream.read(1 << 20):
        pass  # what follows the end of the archive counts for the digest
    if ctypes.CDLL(None, use_errno=True).syncfs(upper):
        raise OSError(ctypes.get_errno(), "the layer cannot be synced")
    return Done(unpacking.size, "sha256:" + stream.hash.hexdigest())


def main() -> None:
    job = msgspec.json.decode(sys.argv[1], type=Job)
    answer: Done | Failed
    try:
        source = opened(sys.stdin.buffer)
        answer = _unpacked(source, enter(job))
    except OSError as error:
        answer = Failed(str(error), error.errno or 0)
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        answer = Failed(f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
