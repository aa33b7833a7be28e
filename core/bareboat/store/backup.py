"""The backup file: the live objects at one revision, in a format of its own, so that what one store gave another can take.

    bareboat-backup 1\\n
    {"head":…,"cluster":…,…}\\n                              the header, for people too: ``head -2 FILE``
    gzip of frames:  length, CRC-32 (4 bytes each, big endian), payload
        payload "R" + a row as MessagePack, in revision order; the last one "E" + {"rows":…,"sha256":…} over all that is before

Values are as they are stored: what is sealed at rest stays sealed in a backup. A file that lacks its end is no backup.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from bareboat.contracts.errors import InvalidConfig
from bareboat.contracts.store import Row
from bareboat.store.keyring import MARK

MAGIC = b"bareboat-backup 1\n"
_FRAME = struct.Struct(">II")
_LARGEST = 1 << 28
CHUNK = 500

_encode = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(Row).decode


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """``head``: every revision is at or below it. ``keys`` are the names of the keys that seal some of the rows."""

    head: int
    cluster: str
    instance: str
    store: str
    created: str
    objects: int
    keys: list[str] = []


class End(msgspec.Struct, frozen=True):
    rows: int
    sha256: str


class Writer:
    """Turns rows into the bytes of the file, a piece at a time."""

    def __init__(self, header: Header) -> None:
        self._start = MAGIC + msgspec.json.encode(header) + b"\n"
        self._digest = hashlib.sha256(self._start)
        self._gzip = zlib.compressobj(1, zlib.DEFLATED, 31)
        self.rows = 0

    def start(self) -> bytes:
        return self._start

    def piece(self, rows: Iterable[Row]) -> bytes:
        out = []
        for row in rows:
            out.append(self._framed(b"R" + _encode(row)))
            self.rows += 1
        return self._gzip.compress(b"".join(out))

    def end(self) -> bytes:
        last = self._framed(b"E" + _encode(End(self.rows, self._digest.hexdigest())))
        return self._gzip.compress(last) + self._gzip.flush()

    def _framed(self, payload: bytes) -> bytes:
        self._digest.update(payload)
        return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class Backup:
    """A file that is read. Raises InvalidConfig, with the place, for anything that is not a whole backup."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.header = self._header(file)
        except OSError as error:
            raise InvalidConfig(f"{path}: {error.strerror}") from error

    def _header(self, file: IO[bytes]) -> Header:
        if file.read(len(MAGIC)) != MAGIC:
            raise InvalidConfig(f"{self.path} is no backup, or one of a newer version: it does not start with {MAGIC.decode().strip()!r}")
        try:
            return msgspec.json.decode(file.readline(1 << 16), type=Header)
        except msgspec.DecodeError as error:
            raise self._damaged(f"its header cannot be read: {error}") from error

    def rows(self) -> Iterator[Row]:
        """In revision order; the checks of the whole file are made at its end, so use nothing before that."""
        digest, count, last = hashlib.sha256(), 0, 0
        with self.path.open("rb") as file:
            digest.update(file.read(len(MAGIC)) + file.readline(1 << 16))
            for payload in self._payloads(file):
                if payload[:1] == b"E":
                    self._check_end(payload, count, digest.hexdigest())
                    return
                row = self._row(payload, count)
                if row.revision <= last or row.revision > self.header.head:
                    raise self._damaged(f"row {count + 1} has revision {row.revision} after {last}, head {self.header.head}")
                digest.update(payload)
                count, last = count + 1, row.revision
                yield row
        raise self._damaged(f"it ends after {count} of {self.header.objects} objects, without its last part")

    def _payloads(self, file: IO[bytes]) -> Iterator[bytes]:
        number = 0
        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                while start := unpacked.read(_FRAME.size):
                    length, crc = _FRAME.unpack(start)
                    payload = unpacked.read(length) if length <= _LARGEST else b""
                    if len(payload) != length or zlib.crc32(payload) != crc:
                        raise self._damaged(f"part {number + 1} does not fit its checksum")
                    number += 1
                    yield payload
        except (EOFError, OSError, zlib.error, struct.error) as error:
            raise self._damaged(f"part {number + 1} cannot be read: {error}") from error

    def _row(self, payload: bytes, count: int) -> Row:
        try:
            return _decode_row(payload[1:])
        except msgspec.DecodeError as error:
            raise self._damaged(f"row {count + 1} cannot be read: {error}") from error

    def _check_end(self, payload: bytes, count: int, digest: str) -> None:
        end = msgspec.msgpack.decode(payload[1:], type=End)
        if end.rows != count or count != self.header.objects or end.sha256 != digest:
            raise self._damaged(f"{count} objects are there, {end.rows} were written, or their checksum differs")

    def _damaged(self, what: str) -> InvalidConfig:
        return InvalidConfig(f"{self.path} is damaged: {what}; use another backup", reason="BackupDamaged")


def sealing_keys(rows: Iterable[Row]) -> set[str]:
    """The names of the keys that sealed values need."""
    return {row.value.split(b":", 5)[4].decode(errors="replace") for row in rows if row.value.startswith(MARK)}


def moved(rows: Iterable[Row], base: int) -> Iterator[Row]:
    """The rows with revisions that go on from ``base``, in the same order: whoever knows an older one has to list again."""
    for revision, row in enumerate(rows, base + 1):
        yield msgspec.structs.replace(row, revision=revision, created=revision, previous=0)


def chunks(rows: Iterator[Row], tell: Callable[[int], None]) -> Iterator[Sequence[Row]]:
    """For restoring: CHUNK rows at a time; ``tell`` hears how many were given out."""
    batch: list[Row] = []
    given = 0
    for row in rows:
        batch.append(row)
        if len(batch) == CHUNK:
            given += len(batch)
            yield batch
            tell(given)
            batch = []
    if batch:
        yield batch
    tell(given + len(batch))
