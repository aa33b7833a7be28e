"""The vocabulary of validation: each function gives the Cause that upstream gives, with its field, type and sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from bareboat.models.status import Cause, quote


def shown(value: Any) -> str:
    """A value as upstream prints it in a message."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value).decode()


def required(field: str, because: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value{': ' + because if because else ''}", field)


def invalid(field: str, value: Any, because: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {because}", field)


def forbidden(field: str, because: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {because}", field)


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def unknown(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", field)


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)


def too_many(field: str, count: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {limit} items", field)


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    listed = ", ".join(quote(s) for s in sorted(supported))
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", field)


def each(field: str, value: Any, faults: Iterable[str]) -> list[Cause]:
    """One cause per fault that a name check found."""
    return [invalid(field, value, fault) for fault in faults]


def one_of(field: str, value: Any, allowed: Iterable[str]) -> list[Cause]:
    """Nothing for an allowed value."""
    allowed = list(allowed)
    return [] if value in allowed else [unsupported(field, value, allowed)]


def non_negative(field: str, value: int | None) -> list[Cause]:
    return [invalid(field, value, "must be greater than or equal to 0")] if value is not None and value < 0 else []


def in_range(field: str, value: int, low: int, high: int) -> list[Cause]:
    return [] if low <= value <= high else [invalid(field, value, f"must be between {low} and {high}, inclusive")]


def immutable(field: str, new: Any, old: Any) -> list[Cause]:
    return [] if new == old else [invalid(field, plain(new), "field is immutable")]


def plain(value: Any) -> Any:
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct | list | dict) else value
