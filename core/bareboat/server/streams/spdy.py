"""SPDY/3.1 frames, as far as Kubernetes clients use them. Bytes in, frames out, and back; no I/O.

A control frame is version, type, flags, length and payload; a data frame stream, flags, length and payload. Header blocks are
compressed with one zlib stream per direction and the dictionary that the protocol fixes (SPDY draft 3.1, section 2.6.10).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
#: Longest frame that is taken, and most that a block of headers may unfold to, in bytes.
MOST = 1 << 20
#: Largest payload that is put into one data frame.
PIECE = 1 << 15
_VERSION = 3
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization "
    "cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range "
    "content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified "
    "location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding "
    "upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found"
    "500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = (word.replace("_", " ").encode() for word in _WORDS.split())
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + _REST.encode()


DICTIONARY = _dictionary()


class ProtocolError(ValueError):
    """The peer sent what SPDY does not allow; the connection is of no more use."""


@dataclass(slots=True)
class Frame:
    """``type`` 0 is data. ``code`` is a reset's status, a ping's id, a go-away's last stream or a window's delta."""

    type: int
    stream: int = 0
    flags: int = 0
    data: bytes = b""
    headers: dict[str, list[str]] = field(default_factory=dict)
    code: int = 0

    @property
    def fin(self) -> bool:
        return bool(self.flags & FIN) and self.type in (0, SYN_STREAM, SYN_REPLY, HEADERS)


class Reader:
    """Bytes of one direction → frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 8:
            first, second = struct.unpack_from(">II", buffer)
            length = second & 0xFFFFFF
            if length > MOST:
                raise ProtocolError(f"a SPDY frame of {length} bytes is longer than {MOST}")
            if len(buffer) < 8 + length:
                return
            payload = bytes(buffer[8 : 8 + length])
            del buffer[: 8 + length]
            frame = self._frame(first, second >> 24, payload)
            if frame is not None:
                yield frame

    def _frame(self, first: int, flags: int, payload: bytes) -> Frame | None:
        if not first & 0x80000000:
            return Frame(0, first, flags, payload)
        if (first >> 16) & 0x7FFF != _VERSION:
            raise ProtocolError(f"SPDY version {(first >> 16) & 0x7FFF} is not spoken here")
        try:
            return self._control(first & 0xFFFF, flags, payload)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"broken SPDY frame: {error}") from error

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame | None:
        if kind == SYN_STREAM:
            return Frame(kind, _number(payload), flags, headers=self._headers(payload[10:]))
        if kind in (SYN_REPLY, HEADERS):
            return Frame(kind, _number(payload), flags, headers=self._headers(payload[4:]))
        if kind in (RST_STREAM, WINDOW_UPDATE):
            stream, code = struct.unpack(">II", payload)
            return Frame(kind, stream, flags, code=code)
        if kind in (PING, GOAWAY):
            return Frame(kind, flags=flags, code=struct.unpack_from(">I", payload)[0])
        return None  # settings say nothing that matters here, unknown frames are skipped

    def _headers(self, block: bytes) -> dict[str, list[str]]:
        plain = self._zlib.decompress(block, MOST)
        (count,) = struct.unpack_from(">I", plain)
        at, found = 4, {}
        for _ in range(count):
            name, at = _text(plain, at)
            value, at = _text(plain, at)
            found[name.lower()] = value.split("\0")
        return found


class Writer:
    """Frames → bytes of the other direction."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return _control(SYN_STREAM, FIN if fin else 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def syn_reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + self._block(headers or {}))

    def reset(self, stream: int, code: int) -> bytes:
        return _control(RST_STREAM, 0, struct.pack(">II", stream, code))

    def ping(self, number: int) -> bytes:
        return _control(PING, 0, struct.pack(">I", number))

    def go_away(self, last: int) -> bytes:
        return _control(GOAWAY, 0, struct.pack(">II", last, 0))

    def window_update(self, stream: int, delta: int) -> bytes:
        return _control(WINDOW_UPDATE, 0, struct.pack(">II", stream, delta))

    def data(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += [struct.pack(">I", len(text)), text]
        return self._zlib.compress(b"".join(plain)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | _VERSION, kind, flags << 24 | len(payload)) + payload


def _number(payload: bytes) -> int:
    number: int = struct.unpack_from(">I", payload)[0]
    return number & 0x7FFFFFFF


def _text(plain: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", plain, at)
    end = at + 4 + length
    if end > len(plain):
        raise ProtocolError("broken SPDY header block")
    return plain[at + 4 : end].decode(), end
