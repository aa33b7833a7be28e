"""Objects as typed Go clients send and read them: `k8s\\0`, a runtime.Unknown, and in it the message of a built-in kind.

In: JSON trees. Out: bytes, made from the same table of field numbers that the decoder (``protobuf``) reads. JSON is what is stored, so
it is what clients get who can read both.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from bareboat.models import schema, scheme
from bareboat.models.protobuf import MAGIC

_PROPS = "apiextensions_v1.JSONSchemaProps"


def encode(tree: Any) -> bytes:
    """An object, or a list of them, with apiVersion and kind. Raises KeyError if the kind is not built in."""
    cls = scheme.type_of(tree["apiVersion"], tree["kind"])
    if cls is None:
        raise KeyError(f"{tree['apiVersion']} {tree['kind']}")
    return envelope(tree["apiVersion"], tree["kind"], message(schema.of(cls).key, tree))


def event(kind: str, tree: Any) -> bytes:
    """Of a watch: how long it is, and a WatchEvent with the object in its envelope."""
    written = chunk(1, kind.encode()) + chunk(2, chunk(1, encode(tree)))
    return struct.pack(">I", len(written)) + written


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + chunk(1, chunk(1, api_version.encode()) + chunk(2, kind.encode())) + chunk(2, raw) + chunk(3, b"") + chunk(4, b"")


def message(key: str, tree: Any) -> bytes:
    """The message of the type ``core_v1.Pod``. Fields that JSON inlines are put into the messages that they are of."""
    plain: bytes = b""
    inlined: dict[tuple[int, ...], bytes] = {}
    for field in schema.by_key(key):
        if field.number and tree.get(field.json_name) is not None:
            *outer, last = (int(part) for part in field.number.split("."))
            data = value(last, field.shape, tree[field.json_name])
            if outer:
                inlined[tuple(outer)] = inlined.get(tuple(outer), b"") + data
            else:
                plain += data
    for path in sorted(inlined, key=len, reverse=True):
        nested = inlined.pop(path)
        for number in reversed(path):
            nested = chunk(number, nested)
        plain += nested
    return plain


def value(number: int, shape: str, item: Any) -> bytes:
    """A field with its number."""
    if shape.startswith("[]"):
        return b"".join(value(number, shape[2:], entry) for entry in item)
    if shape.startswith("{}"):
        return b"".join(chunk(number, chunk(1, name.encode()) + _of_map(shape[2:], entry)) for name, entry in item.items())
    if shape in ("bool", "int32", "int64"):
        return number_field(number, int(item))
    if shape == "double":
        return varint(number << 3 | 1) + struct.pack("<d", item)
    return chunk(number, _content(shape, item))


def _of_map(shape: str, item: Any) -> bytes:
    """The value of a map entry: a list in it is a message of its own."""
    return chunk(2, value(1, shape, item)) if shape.startswith("[]") else value(2, shape, item)


def _content(shape: str, item: Any) -> bytes:
    write = _WRITERS.get(shape)
    return write(item) if write is not None else message(shape, item)


def _time(item: str) -> bytes:
    moment = datetime.fromisoformat(item)
    return number_field(1, int(moment.timestamp())) + number_field(2, moment.microsecond * 1000)


def _int_or_string(item: int | str) -> bytes:
    return number_field(1, 1) + number_field(2, 0) + chunk(3, item.encode()) if isinstance(item, str) else number_field(2, item)


def _or_bool(item: Any) -> bytes:
    return number_field(1, item) if isinstance(item, bool) else number_field(1, 1) + chunk(2, message(_PROPS, item))


def _or_schemas(item: Any) -> bytes:
    return b"".join(chunk(2, message(_PROPS, entry)) for entry in item) if isinstance(item, list) else chunk(1, message(_PROPS, item))


def _or_strings(item: Any) -> bytes:
    return b"".join(chunk(2, entry.encode()) for entry in item) if isinstance(item, list) else chunk(1, message(_PROPS, item))


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "string": str.encode,
    "bytes": base64.b64decode,
    "time": _time,
    "microtime": _time,
    "quantity": lambda item: chunk(1, item.encode()),
    "intorstring": _int_or_string,
    "any": lambda item: chunk(1, msgspec.json.encode(item)),
    "schema|bool": _or_bool,
    "schema|schemas": _or_schemas,
    "schema|strings": _or_strings,
}


def chunk(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def number_field(number: int, item: int) -> bytes:
    return varint(number << 3) + varint(item)


def varint(number: int) -> bytes:
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
