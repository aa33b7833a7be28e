"""Unpack one image layer: ``python -m bareboat_cri_process.unpack ROOT < layer.tar``, as a process of its own that is confined to ROOT.

What comes in: a tar stream, plain or compressed. What goes out: files below ROOT, with what the layer whites out removed. It changes its
root to ROOT first: whatever names and links a hostile layer has, they cannot lead outside.
"""

from __future__ import annotations

import bz2  # noqa: F401  everything that unpacking may import lazily must be there before the root changes
import encodings.idna  # noqa: F401
import gzip  # noqa: F401
import lzma  # noqa: F401
import os
import shutil
import sys
import tarfile
import zlib  # noqa: F401

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


def unpack(stream: tarfile.TarFile) -> int:
    """Returns the bytes of the files."""
    size = 0
    for member in stream:
        name = "/" + os.path.normpath("/" + member.name).lstrip("/")
        directory, base = os.path.split(name)
        if base == _OPAQUE:
            _empty(directory)
        elif base.startswith(_WHITEOUT):
            _remove(os.path.join(directory, base.removeprefix(_WHITEOUT)))
        elif name != "/":
            if not (member.isdir() and os.path.isdir(name)):
                _remove(name)
            stream.extract(member, "/", numeric_owner=True, filter="fully_trusted")
            size += member.size
    return size


def _empty(directory: str) -> None:
    for entry in os.listdir(directory) if os.path.isdir(directory) else ():
        _remove(os.path.join(directory, entry))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def main() -> None:
    layer = sys.stdin.buffer
    os.chroot(sys.argv[1])
    os.chdir("/")
    os.umask(0)
    with tarfile.open(fileobj=layer, mode="r|*") as stream:
        print(unpack(stream))


if __name__ == "__main__":
    main()
