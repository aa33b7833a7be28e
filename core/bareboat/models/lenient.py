"""The slow way of decoding: a walk over the raw tree beside the schema of its type.

In: a body that msgspec refused or that repeats keys. Out: the object, with nulls taken as zeros and unknown fields dropped, and the list
of strict complaints; or DecodeError. Messages, their order and which error wins follow Go's decoder, because clients show them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from bareboat.models import base64, quantity, rawjson, scalars, schema, times
from bareboat.models.gotypes import element, printed
from bareboat.models.rawjson import Number, Pairs

T = TypeVar("T", bound=msgspec.Struct)

MAX_COMPLAINTS = 100
SCHEMA_PROPS = "apiextensions_v1.JSONSchemaProps"


class DecodeError(ValueError):
    """The body is no object of the type. The message is upstream's; `syntax` tells that it is not even JSON."""

    def __init__(self, message: str, *, syntax: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.syntax = syntax


class _TypeFault(Exception):
    """A value of the wrong JSON type met inside a type that decodes itself: ends the decoding."""

    def __init__(self, value: str, go_type: str) -> None:
        self.value = value
        self.go_type = go_type


def decode(cls: type[T], data: bytes) -> tuple[T, list[str]]:
    """The object and the strict complaints, in upstream's order."""
    try:
        raw = rawjson.parse(data)
    except rawjson.SyntaxFault as fault:
        raise DecodeError(str(fault), syntax=True) from None
    walk = _Walk()
    try:
        tree = walk.root(schema.of(cls), raw)
    except RecursionError:
        raise DecodeError("exceeded max depth", syntax=True) from None
    if walk.fault is not None:
        raise DecodeError(walk.fault)
    try:
        return msgspec.convert(tree, cls, dec_hook=scalars.canonical), walk.complaints
    except msgspec.ValidationError as error:
        raise DecodeError(str(error)) from None


class _Walk:
    """One pass over one body. `struct` and `stack` are where Go's decoder stands, for its messages."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.fault: str | None = None
        self.struct = ""
        self.stack: list[str] = []
        self.muted = 0

    def root(self, kind: schema.TypeSchema, raw: Any) -> Any:
        go_type = f"{kind.go_package}.{kind.name}"
        if raw is None:
            return {}
        if not isinstance(raw, Pairs):
            self._save(rawjson.kind(raw), go_type)
            return {}
        try:
            return self._struct(kind, raw, "")
        except _TypeFault as fault:
            raise DecodeError(self._message(fault.value, fault.go_type)) from None
        except ValueError as error:
            raise error if isinstance(error, DecodeError) else DecodeError(str(error)) from None

    def _struct(self, kind: schema.TypeSchema, raw: Pairs, path: str) -> dict[str, Any]:
        outer, tree = self.struct, {}
        seen: set[str] = set()
        for name, value in raw:
            here = f"{path}.{name}" if path else name
            field = kind.by_name.get(name)
            if field is None:
                self._complain(f'unknown field "{here}"')
                continue
            if name in seen:
                self._complain(f'duplicate field "{here}"')
            seen.add(name)
            if value is None:
                continue
            self.struct = kind.name
            depth = len(self.stack)
            self.stack += [*field.inlined, name]
            cleaned = self._value(field.shape, printed(field.go_type, kind), value, here)
            del self.stack[depth:]
            self.struct = outer
            if cleaned is not None:
                tree[name] = cleaned
        return tree

    def _value(self, shape: str, go_type: str, value: Any, path: str) -> Any:
        """The cleaned value, None where it was of the wrong type."""
        if shape.startswith("[]"):
            return self._list(shape[2:], go_type, value, path)
        if shape.startswith("{}"):
            return self._map(shape[2:], go_type, value, path)
        if shape in _SCALARS:
            return _SCALARS[shape](self, value, go_type)
        if shape.startswith("schema|"):
            return self._union(shape, value)
        if not isinstance(value, Pairs):
            return self._save(rawjson.kind(value), go_type)
        return self._struct(schema.by_key(shape), value, path)

    def _list(self, item: str, go_type: str, value: Any, path: str) -> Any:
        if not isinstance(value, list) or isinstance(value, Pairs):
            return self._save(rawjson.kind(value), go_type)
        inner = element(go_type)
        return [self._item(item, inner, entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    def _map(self, item: str, go_type: str, value: Any, path: str) -> Any:
        if not isinstance(value, Pairs):
            return self._save(rawjson.kind(value), go_type)
        inner, result = element(go_type), {}
        for key, entry in value:
            if key in result:
                self._complain(f'duplicate field "{path}.{key}"')
            result[rawjson.clean(key)] = self._item(item, inner, entry, f"{path}.{key}")
        return result

    def _item(self, shape: str, go_type: str, value: Any, path: str) -> Any:
        cleaned = None if value is None else self._value(shape, go_type, value, path)
        return zero(shape) if cleaned is None else cleaned

    def _union(self, shape: str, value: Any) -> Any:
        """The schema types decode themselves: what is unknown inside them is dropped in silence."""
        if isinstance(value, Pairs):
            return self._inner(value)
        if shape == "schema|bool":
            if isinstance(value, bool):
                return value
            raise DecodeError("boolean or JSON schema expected")
        if not isinstance(value, list):
            return None
        return [self._inner(entry) if shape == "schema|schemas" else _inner_string(entry) for entry in value]

    def _inner(self, value: Any) -> Any:
        if not isinstance(value, Pairs):
            raise _TypeFault(rawjson.kind(value), "v1.JSONSchemaProps")
        self.muted += 1
        stack, struct, fault = self.stack, self.struct, self.fault
        self.stack, self.fault = list(stack), None
        tree = self._struct(schema.by_key(SCHEMA_PROPS), value, "")
        self.muted -= 1
        if self.fault is not None:
            raise DecodeError(self.fault)
        self.stack, self.struct, self.fault = stack, struct, fault
        return tree

    def _complain(self, text: str) -> None:
        if not self.muted and len(self.complaints) < MAX_COMPLAINTS and text not in self.complaints:
            self.complaints.append(text)

    def _save(self, value: str, go_type: str) -> None:
        """Go goes on after a wrong type and reports the first."""
        if self.fault is None:
            self.fault = self._message(value, go_type)

    def _message(self, value: str, go_type: str) -> str:
        if not self.struct and not self.stack:
            return f"json: cannot unmarshal {value} into Go value of type {go_type}"
        return f"json: cannot unmarshal {value} into Go struct field {self.struct}.{'.'.join(self.stack)} of type {go_type}"

    def string(self, value: Any, go_type: str) -> Any:
        return rawjson.clean(value) if isinstance(value, str) else self._save(rawjson.kind(value), go_type)

    def boolean(self, value: Any, go_type: str) -> Any:
        return value if isinstance(value, bool) else self._save(rawjson.kind(value), go_type)

    def integer32(self, value: Any, go_type: str) -> Any:
        return self._integer(value, go_type, -(2**31), 2**31)

    def integer64(self, value: Any, go_type: str) -> Any:
        return self._integer(value, go_type, -(2**63), 2**63)

    def _integer(self, value: Any, go_type: str, low: int, limit: int) -> Any:
        if rawjson.kind(value) != "number":
            return self._save(rawjson.kind(value), go_type)
        if isinstance(value, Number) or not low <= value < limit:
            return self._save(f"number {_spelled(value)}", go_type)
        return value

    def double(self, value: Any, go_type: str) -> Any:
        return value if rawjson.kind(value) == "number" else self._save(rawjson.kind(value), go_type)

    def binary(self, value: Any, go_type: str) -> Any:
        if rawjson.kind(value) == "array":
            return self._octets(value)
        if not isinstance(value, str):
            return self._save(rawjson.kind(value), go_type)
        try:
            return base64.canonical(value)
        except ValueError as error:
            if self.fault is None:
                self.fault = str(error)
            return None

    def _octets(self, value: list[Any]) -> str:
        """Go also reads bytes from a list of numbers."""
        octets = [0 if item is None else self._integer(item, "uint8", 0, 256) for item in value]
        return base64.encode(bytes(octet or 0 for octet in octets))

    def int_or_string(self, value: Any, go_type: str) -> Any:
        if isinstance(value, str):
            return rawjson.clean(value)
        if rawjson.kind(value) != "number":
            raise _TypeFault(rawjson.kind(value), "int32")
        if isinstance(value, Number) or not -(2**31) <= value < 2**31:
            raise _TypeFault(f"number {_spelled(value)}", "int32")
        return value

    def amount(self, value: Any, go_type: str) -> Any:
        return quantity.canonical(_spelled(value) if rawjson.kind(value) == "number" else value)

    def time(self, value: Any, go_type: str) -> Any:
        if not isinstance(value, str):
            raise _TypeFault(rawjson.kind(value), "string")
        return times.canonical(value)

    def micro_time(self, value: Any, go_type: str) -> Any:
        if not isinstance(value, str):
            raise _TypeFault(rawjson.kind(value), "string")
        return times.canonical_micro(value)

    def anything(self, value: Any, go_type: str) -> Any:
        plain = rawjson.plain(value)
        return msgspec.Raw(msgspec.json.encode(plain)) if go_type == "v1.FieldsV1" else plain


_SCALARS: dict[str, Callable[[_Walk, Any, str], Any]] = {
    "string": _Walk.string,
    "bool": _Walk.boolean,
    "int32": _Walk.integer32,
    "int64": _Walk.integer64,
    "double": _Walk.double,
    "bytes": _Walk.binary,
    "intorstring": _Walk.int_or_string,
    "quantity": _Walk.amount,
    "time": _Walk.time,
    "microtime": _Walk.micro_time,
    "any": _Walk.anything,
}
_ZEROS: dict[str, Any] = {"string": "", "bytes": "", "bool": False, "quantity": "0"}
_ZEROS |= {"int32": 0, "int64": 0, "double": 0, "intorstring": 0}


def zero(shape: str) -> Any:
    """What a null item of a list or map stands for, as a tree."""
    if shape.startswith("[]"):
        return []
    if shape.startswith("{}") or "." in shape:
        return {}
    return _ZEROS.get(shape)


def _inner_string(value: Any) -> str:
    if not isinstance(value, str):
        raise _TypeFault(rawjson.kind(value), "string")
    return value


def _spelled(value: Any) -> str:
    return value.text if isinstance(value, Number) else str(value)
