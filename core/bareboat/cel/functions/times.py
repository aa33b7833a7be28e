"""Comparisons of timestamps and durations with their text: inside a tree a time is the text that it is stored as."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bareboat.cel.functions.function import Function
from bareboat.models.times import parse

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)")


def _duration(text: str) -> timedelta:
    body = text.lstrip("+-")
    if not _PART.sub("", body) == "" or not body:
        raise ValueError(f"duration parse error: {text!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(body))
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def _as_time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return parse(f"{value}T00:00:00Z" if _DATE.fullmatch(value) else value)


def _as_duration(value: Any) -> Any:
    return _duration(value) if isinstance(value, str) else value


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "_<_": lambda a, b: a < b,
    "_<=_": lambda a, b: a <= b,
    "_>_": lambda a, b: a > b,
    "_>=_": lambda a, b: a >= b,
}


def _both(test: Callable[[Any, Any], bool], read: Callable[[Any], datetime | timedelta]) -> Callable[[Any, Any], bool]:
    return lambda a, b: test(read(a), read(b))


FUNCTIONS = tuple(
    Function(name, _both(test, read), parameters, "bool")
    for name, test in _COMPARE.items()
    for kind, read in (("timestamp", _as_time), ("duration", _as_duration))
    for parameters in (f"string {kind}", f"{kind} string")
)
