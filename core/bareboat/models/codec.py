"""Bytes to objects and back.

In: JSON as clients write it. Out: typed objects in canonical form, canonical JSON, and upstream's own words for what is wrong.
The fast way is one typed pass of msgspec that knows quantities, times and base64. Whatever that refuses (nulls, unknown fields, wrong
types) goes the slow way over the raw tree, which mends or names it. Defaults and validation are not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from bareboat.models import custom, lenient, presence, scalars
from bareboat.models.custom import CustomObject
from bareboat.models.lenient import DecodeError
from bareboat.models.repeats import has_duplicates

__all__ = [
    "DecodeError",
    "copy",
    "decode",
    "decode_exactly",
    "decode_strict",
    "encode",
    "encode_with",
    "from_tree",
    "has_duplicates",
    "plain",
    "to_tree",
]

T = TypeVar("T", bound=msgspec.Struct)

_DECODERS: dict[type, Callable[[bytes], Any]] = {CustomObject: custom.decode}
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_is_odd_field = re.compile(rb'"fieldsV1"\s*:\s*[^{\s]').search
_has_brackets = re.compile(rb"\[\]").search
_encode = msgspec.json.Encoder().encode


def decode(cls: type[T], data: bytes) -> T:
    """Lenient: unknown fields are dropped, nulls are zeros. Raises DecodeError with upstream's message."""
    try:
        return _decoder(cls)(data)  # type: ignore[no-any-return]
    except _REFUSED:
        return lenient.decode(cls, data)[0]


def decode_exactly(cls: type[T], data: bytes) -> T:
    """Raises DecodeError for whatever the fast way refuses, be it that the slow one would mend it."""
    try:
        return _decoder(cls)(data)  # type: ignore[no-any-return]
    except _REFUSED as error:
        raise DecodeError(str(error)) from None


def decode_strict(cls: type[T], data: bytes, *, ours: bool = False) -> tuple[T, list[str]]:
    """Also lists unknown and duplicate fields, as upstream words and orders them. ``ours``: encoded here, so no field is twice."""
    try:
        decoded = _decoder(cls)(data)
        if ours or not (has_duplicates(data) or _has_odd_fields(data)):
            return decoded, []
    except _REFUSED:
        pass
    return lenient.decode(cls, data)


def _has_odd_fields(data: bytes) -> bool:
    """Whether a fieldsV1, into which the fast way does not look, is no object."""
    return b'"fieldsV1"' in data and _is_odd_field(data) is not None


def encode(obj: msgspec.Struct) -> bytes:
    """Canonical JSON: fields in upstream's order, present when upstream writes them."""
    if type(obj) is CustomObject:
        return custom.encode(obj)
    data = _encode(obj)
    if _has_brackets(data) is not None and (emptied := presence.empty_lists(obj)):
        with _as_nulls(emptied):
            return _encode(obj)
    return data


def to_tree(obj: msgspec.Struct) -> dict[str, Any]:
    """The plain tree of what `encode` writes."""
    if type(obj) is CustomObject:
        return custom.to_tree(obj)
    with _as_nulls(presence.empty_lists(obj)):
        tree: dict[str, Any] = plain(obj)
    return tree


def plain(part: Any) -> Any:
    """The tree of any part of an object. Of lists that are written as null only `to_tree` knows."""
    return msgspec.to_builtins(part, enc_hook=_written)


def from_tree(cls: type[T], tree: dict[str, Any]) -> T:
    """Raises DecodeError as `decode` does. What is in free-form fields is shared with the tree."""
    try:
        return msgspec.convert(_with_fields(tree), cls, dec_hook=scalars.canonical)
    except _REFUSED:
        return lenient.decode(cls, _encode(tree))[0]


def encode_with(obj: msgspec.Struct, attr: str, part: bytes) -> bytes:
    """What `encode` writes of an object of which one part has been encoded already."""
    value = getattr(obj, attr)
    setattr(obj, attr, msgspec.Raw(part))
    try:
        data = _encode(obj)
    finally:
        setattr(obj, attr, value)
    return encode(obj) if _has_brackets(data) is not None else data


def _written(part: Any) -> Any:
    """The tree of a part that is in an object as JSON (fieldsV1)."""
    if type(part) is not msgspec.Raw:
        raise TypeError(f"{type(part).__name__} is no part of an object")
    return msgspec.json.decode(part)


def _with_fields(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree whose own managedFields say who owns what as JSON. Of such below, in templates, the slow way takes care."""
    meta = tree.get("metadata", tree)
    entries = meta.get("managedFields") if isinstance(meta, dict) else None
    if not isinstance(entries, list) or not entries:
        return tree
    meta = {**meta, "managedFields": [_with_json(entry) for entry in entries]}
    return {**tree, "metadata": meta} if "metadata" in tree else meta


def _with_json(entry: Any) -> Any:
    if not isinstance(entry, dict) or entry.get("fieldsV1") is None:
        return entry
    return {**entry, "fieldsV1": msgspec.Raw(_encode(entry["fieldsV1"]))}


def copy(obj: T) -> T:
    """A deep copy."""
    if type(obj) is CustomObject:
        return custom.decode(custom.encode(obj))  # type: ignore[return-value, arg-type]
    return _decoder(type(obj))(_encode(obj))  # type: ignore[no-any-return]


def _decoder(cls: type) -> Callable[[bytes], Any]:
    known = _DECODERS.get(cls)
    if known is None:
        known = _DECODERS[cls] = msgspec.json.Decoder(cls, dec_hook=scalars.canonical).decode
    return known


@contextmanager
def _as_nulls(emptied: presence.Found) -> Iterator[None]:
    """While inside, the empty lists that are written as null are None."""
    for owner, attr in emptied:
        setattr(owner, attr, None)
    try:
        yield
    finally:
        for owner, attr in emptied:
            setattr(owner, attr, [])
