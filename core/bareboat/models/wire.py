"""The protobuf wire format. In: bytes. Out: (field number, value) pairs; numbers are not interpreted, nested messages stay bytes.

What a field means is known to protobuf.py, from the table of field numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no protobuf message."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field in turn: an unsigned int for varints and fixed widths, bytes for what carries its length."""
    position, end = 0, len(data)
    while position < end:
        tag, position = varint(data, position)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("proto: illegal tag 0")
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, value
            continue
        length, position = _length(data, position, kind)
        chunk = data[position : position + length]
        position += length
        yield number, chunk if kind == BYTES else int.from_bytes(chunk, "little")


def _length(data: bytes, position: int, kind: int) -> tuple[int, int]:
    if kind == BYTES:
        length, position = varint(data, position)
    elif kind in (FIXED64, FIXED32):
        length = 8 if kind == FIXED64 else 4
    else:
        raise WireError(f"proto: illegal wireType {kind}")
    if position + length > len(data):
        raise WireError("unexpected EOF")
    return length, position


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position and the position after it."""
    result = shift = 0
    while True:
        if position >= len(data):
            raise WireError("unexpected EOF")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift >= 64:
            raise WireError("proto: integer overflow")


def packed(data: bytes) -> Iterator[int]:
    """The numbers of a packed list."""
    position = 0
    while position < len(data):
        value, position = varint(data, position)
        yield value


def signed(value: int, bits: int) -> int:
    """Two's complement, cut to the width as Go does."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def double(value: int) -> float:
    number: float = struct.unpack("<d", value.to_bytes(8, "little"))[0]
    return number
