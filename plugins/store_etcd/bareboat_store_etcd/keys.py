"""Where things are in etcd, and rows as values. Pure functions.

``PREFIX/meta/schema``, ``PREFIX/head`` (the newest revision of ours, not etcd's), ``PREFIX/compacted``, ``PREFIX/writers/ID`` (a
server's last batch), ``PREFIX/log/00000000000000000042`` (a row each), ``PREFIX/restore`` (whose rows lie beyond the head).
"""

from __future__ import annotations

import msgspec

from bareboat.contracts.store import Row

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


class LastBatch(msgspec.Struct, frozen=True, array_like=True):
    """``base``: the head before it."""

    number: int = 0
    base: int = 0


class Keys:
    """Below one prefix."""

    def __init__(self, prefix: str) -> None:
        self.schema = f"{prefix}/meta/schema"
        self.head = f"{prefix}/head"
        self.compacted = f"{prefix}/compacted"
        self.restore = f"{prefix}/restore"
        self.end = f"{prefix}/log0"
        self._log = f"{prefix}/log/"
        self._writers = f"{prefix}/writers/"

    def row(self, revision: int) -> str:
        return f"{self._log}{revision:020d}"

    def writer(self, identity: str) -> str:
        return self._writers + identity


def to_value(row: Row) -> bytes:
    return _encode(row)


def to_row(value: bytes) -> Row:
    return _decode(value)
