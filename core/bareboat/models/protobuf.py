"""Objects that clients send as protobuf; how they get them is ``protobuf_encoding``.

In: `application/vnd.kubernetes.protobuf`, that is four magic bytes and a runtime.Unknown around the message of any built-in kind. Out: its
apiVersion, its kind and the typed object, canonical as after JSON. Plans per type are made from the field numbers of the schema.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from bareboat.models import scalars, schema, scheme, times, wire
from bareboat.models.lenient import DecodeError

MAGIC: Final = b"k8s\x00"
CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Value = int | bytes
Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a field: `how` is one, list, map or inline; `read` turns one wire value into JSON terms."""

    name: str
    how: str
    read: Read
    packs: bool = False


def decode(data: bytes) -> tuple[str, str, msgspec.Struct]:
    """(apiVersion, kind, object). Raises DecodeError."""
    try:
        api_version, kind, raw = _envelope(data)
        cls = scheme.type_of(api_version, kind)
        if cls is None:
            raise DecodeError(f'no kind "{kind}" is registered for version "{api_version}"')
        return api_version, kind, decode_message(cls, raw, api_version, kind)
    except wire.WireError as error:
        raise DecodeError(str(error), syntax=True) from None


def decode_message(cls: type[msgspec.Struct], raw: bytes, api_version: str = "", kind: str = "") -> msgspec.Struct:
    """The bare message of a type, without the envelope."""
    try:
        tree = _message(schema.of(cls).key, raw)
    except RecursionError:
        raise DecodeError("exceeded max depth", syntax=True) from None
    except wire.WireError as error:
        raise DecodeError(str(error), syntax=True) from None
    if api_version:
        tree.update(apiVersion=api_version, kind=kind)
    try:
        return msgspec.convert(tree, cls, dec_hook=scalars.canonical)
    except msgspec.ValidationError as error:
        raise DecodeError(str(error)) from None


def _envelope(data: bytes) -> tuple[str, str, bytes]:
    if not data.startswith(MAGIC):
        raise DecodeError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]", syntax=True)
    unknown = dict(wire.fields(data[len(MAGIC) :]))
    meta = dict(wire.fields(_bytes(unknown.get(1, b""))))
    if unknown.get(3):
        raise DecodeError(f"unsupported content encoding {_text(unknown[3])!r}", syntax=True)
    return _text(meta.get(1, b"")), _text(meta.get(2, b"")), _bytes(unknown.get(2, b""))


def _message(key: str, data: bytes) -> dict[str, Any]:
    return _fill({}, _plan(key), data)


def _fill(tree: dict[str, Any], plan: dict[int, Any], data: bytes) -> dict[str, Any]:
    for number, value in wire.fields(data):
        step = plan.get(number)
        if step is None:
            continue
        if isinstance(step, dict):
            _fill(tree, step, _bytes(value))
        elif step.how == "list":
            _extend(tree.setdefault(step.name, []), step, value)
        elif step.how == "map":
            entry = dict(wire.fields(_bytes(value)))
            tree.setdefault(step.name, {})[_text(entry.get(1, b""))] = step.read(entry.get(2, b""))
        elif (read := step.read(value)) is not None:
            tree[step.name] = read
    return tree


def _extend(items: list[Any], step: Step, value: Value) -> None:
    if step.packs and isinstance(value, bytes):
        items.extend(step.read(item) for item in wire.packed(value))
    else:
        items.append(step.read(value))


_PLANS: dict[str, dict[int, Any]] = {}


def _plan(key: str) -> dict[int, Any]:
    """By field number a Step, or the plan of a message that JSON inlines."""
    known = _PLANS.get(key)
    if known is None:
        known = _PLANS[key] = {}
        for field in schema.by_key(key):
            if field.number:
                *outer, last = (int(part) for part in field.number.split("."))
                level = known
                for number in outer:
                    level = level.setdefault(number, {})
                level[last] = _step(field.json_name, "fields" if field.go_type == "*FieldsV1" else field.shape)
    return known


def _step(name: str, shape: str) -> Step:
    if shape.startswith("[]"):
        return Step(name, "list", _reader(shape[2:]), packs=shape[2:] in ("int32", "int64", "bool"))
    if shape.startswith("{}"):
        return Step(name, "map", _reader(shape[2:]))
    return Step(name, "one", _reader(shape))


def _reader(shape: str) -> Read:
    if shape.startswith("[]"):  # a list inside a list or map is a message of its own: items = 1
        item = _reader(shape[2:])
        return lambda value: [item(entry) for number, entry in wire.fields(_bytes(value)) if number == 1]
    if shape in _READERS:
        return _READERS[shape]
    return lambda value: _message(shape, _bytes(value))


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise wire.WireError("proto: wrong wireType for a message")
    return value


def _number(value: Value) -> int:
    if value == b"":  # the value of a map entry that left out its zero
        return 0
    if not isinstance(value, int):
        raise wire.WireError("proto: wrong wireType for a number")
    return value


def _text(value: Value) -> str:
    return _bytes(value).decode("utf-8", "replace")


def _time(value: Value) -> str | None:
    return times.format_seconds(_moment(value)) if value else None


def _micro_time(value: Value) -> str | None:
    return times.format_micro(_moment(value)) if value else None


def _moment(value: Value) -> datetime:
    parts = dict(wire.fields(_bytes(value)))
    try:
        seconds = timedelta(seconds=wire.signed(_number(parts.get(1, 0)), 64))
        return EPOCH + seconds + timedelta(microseconds=wire.signed(_number(parts.get(2, 0)), 32) // 1000)
    except OverflowError:
        raise wire.WireError("proto: time out of range") from None


def _quantity(value: Value) -> str:
    return _text(dict(wire.fields(_bytes(value))).get(1, b"0")) or "0"


def _int_or_string(value: Value) -> int | str:
    parts = dict(wire.fields(_bytes(value)))
    return _text(parts.get(3, b"")) if parts.get(1) else wire.signed(_number(parts.get(2, 0)), 32)


def _raw(value: Value) -> Any:
    raw = _bytes(dict(wire.fields(_bytes(value))).get(1, b""))
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"invalid JSON in a raw field: {error}") from None


def _fields(value: Value) -> msgspec.Raw | None:
    tree = _raw(value)
    return None if tree is None else msgspec.Raw(msgspec.json.encode(tree))


def _schema_or(plain: Read) -> Read:
    """JSONSchemaPropsOr…: a schema, or the other thing that it may be."""

    def read(value: Value) -> Any:
        found = list(wire.fields(_bytes(value)))
        return plain(found)

    return read


def _or_bool(found: list[tuple[int, Value]]) -> Any:
    parts = dict(found)
    return _message(_PROPS, _bytes(parts[2])) if 2 in parts else bool(parts.get(1, 0))


def _or_schemas(found: list[tuple[int, Value]]) -> Any:
    many = [_message(_PROPS, _bytes(value)) for number, value in found if number == 2]
    one = [_message(_PROPS, _bytes(value)) for number, value in found if number == 1]
    return many or (one[-1] if one else None)


def _or_strings(found: list[tuple[int, Value]]) -> Any:
    schemas = [_message(_PROPS, _bytes(value)) for number, value in found if number == 1]
    return schemas[-1] if schemas else [_text(value) for number, value in found if number == 2]


_PROPS: Final = "apiextensions_v1.JSONSchemaProps"
_READERS: Final[dict[str, Read]] = {
    "string": _text,
    "bool": lambda value: bool(_number(value)),
    "int32": lambda value: wire.signed(_number(value), 32),
    "int64": lambda value: wire.signed(_number(value), 64),
    "double": lambda value: _plain_double(wire.double(_number(value))),
    "bytes": lambda value: binascii.b2a_base64(_bytes(value), newline=False).decode(),
    "time": _time,
    "microtime": _micro_time,
    "quantity": _quantity,
    "intorstring": _int_or_string,
    "any": _raw,
    "fields": _fields,
    "schema|bool": _schema_or(_or_bool),
    "schema|schemas": _schema_or(_or_schemas),
    "schema|strings": _schema_or(_or_strings),
}


def _plain_double(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 1e21 else number
