"""The vocabulary of validation: each function gives the Cause that upstream gives, with its field, type and sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from bareboat.models import codec
from bareboat.models.names import percent
from bareboat.models.status import Cause, quote

IMMUTABLE = "field is immutable"
_MAX_INT32 = 2**31 - 1


def shown(value: Any) -> str:
    """A value as upstream prints it in a message."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(plain(value)).decode()


def required(field: str, because: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value{': ' + because if because else ''}", field)


def invalid(field: str, value: Any, because: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}{': ' + because if because else ''}", field)


def forbidden(field: str, because: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden{': ' + because if because else ''}", field)


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def unknown(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", field)


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)


def too_many(field: str, count: int, limit: int) -> Cause:
    items = "item" if limit == 1 else "items"
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {limit} {items}", field)


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """In the order given, as upstream lists them; sets by the alphabet."""
    ordered = sorted(supported) if isinstance(supported, (set, frozenset, dict)) else supported
    listed = ", ".join(quote(s) for s in ordered)
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", field)


def each(field: str, value: Any, faults: Iterable[str]) -> list[Cause]:
    """One cause per fault that a name check found."""
    return [invalid(field, value, fault) for fault in faults]


def named(field: str, value: str, check: Callable[[str], list[str]], because: str = "") -> list[Cause]:
    """Required, and well formed."""
    return each(field, value, check(value)) if value else [required(field, because)]


def one_of(field: str, value: Any, allowed: Collection[str]) -> list[Cause]:
    """Nothing for an allowed value."""
    return [] if value in allowed else [unsupported(field, value, allowed)]


def choice(field: str, value: str | None, allowed: Collection[str], because: str = "") -> list[Cause]:
    """Required, and one of the allowed."""
    return one_of(field, value, allowed) if value else [required(field, because)]


def non_negative(field: str, value: int | None) -> list[Cause]:
    return [invalid(field, value, "must be greater than or equal to 0")] if value is not None and value < 0 else []


def positive(field: str, value: int | None) -> list[Cause]:
    return [invalid(field, value, "must be greater than zero")] if value is not None and value <= 0 else []


def in_range(field: str, value: int, low: int, high: int) -> list[Cause]:
    return [] if low <= value <= high else [invalid(field, value, f"must be between {low} and {high}, inclusive")]


def port_number(field: str, value: int) -> list[Cause]:
    return in_range(field, value, 1, 65535)


def int_or_percent(field: str, value: int | str) -> list[Cause]:
    """A number of at least 0, or a percentage."""
    return non_negative(field, value) if isinstance(value, int) else each(field, value, percent(value))


def at_most_all(field: str, value: int | str) -> list[Cause]:
    """No percentage above 100."""
    share = percentage(value)
    return [invalid(field, value, "must not be greater than 100%")] if share is not None and share > 100 else []


def percentage(value: int | str) -> int | None:
    """The number before a well-formed percent sign."""
    return int(value[:-1]) if isinstance(value, str) and not percent(value) else None


def amount(value: int | str) -> int:
    """The number of an int or percentage; 0 for what is neither."""
    return value if isinstance(value, int) else percentage(value) or 0


def immutable(field: str, new: Any, old: Any) -> list[Cause]:
    return [] if new == old else [invalid(field, new, IMMUTABLE)]


def unique(field: str, name: Any, seen: set[Any]) -> list[Cause]:
    """Remembers what it saw."""
    if name in seen:
        return [duplicate(field, name)]
    seen.add(name)
    return []


def plain(value: Any) -> Any:
    return codec.plain(value) if isinstance(value, msgspec.Struct | list | dict) else value
