"""How layers are compressed: told by their first bytes, whatever a manifest calls them.

What comes in: a binary stream. What goes out: one of the tar inside.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import Any, Protocol

import zstandard

_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60)))  # a frame, or one to be skipped


class Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Hashed(io.RawIOBase):
    """Reads through, and keeps the digest of all that was read."""

    def __init__(self, source: Stream, digest: Digest) -> None:
        super().__init__()
        self._source = source
        self.hash = digest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self.hash.update(data)
        return data


def opened(source: Any) -> Stream:
    """``source`` must be able to peek, as a BufferedReader is."""
    start = source.peek(6)[:6]
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=source)
    if start.startswith(_ZSTD):
        return zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(source)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(source)
    stream: Stream = source
    return stream
