"""Times of the API. In: RFC 3339 text as a client wrote it. Out: canonical text in UTC, seconds for Time, microseconds for MicroTime.

The messages for text that cannot be read are those of Go's time.Parse, which clients get to see.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT: Final = "2006-01-02T15:04:05.000000Z07:00"

_PLAIN: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_PLAIN_MICRO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_STEPS: Final = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
_FRACTION: Final = re.compile(r"[.,]\d+", re.ASCII)
_ZONE: Final = re.compile(r"Z|([+-])(\d\d):(\d\d)", re.ASCII)


def canonical(value: Any) -> str:
    """Raises ValueError with Go's message."""
    if _is_canonical(value, _PLAIN):
        return str(value)
    return parse(value, LAYOUT).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


def canonical_micro(value: Any) -> str:
    """Raises ValueError with Go's message."""
    if _is_canonical(value, _PLAIN_MICRO):
        return str(value)
    return parse(value, MICRO_LAYOUT).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def _is_canonical(value: Any, form: re.Pattern[str]) -> bool:
    """Whether it is spelled as it is written; False for what only the slow way knows what to say of."""
    if not isinstance(value, str) or form.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def format_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)


def format_micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def parse(value: Any, layout: str = LAYOUT) -> datetime:
    """An aware datetime in UTC."""
    if isinstance(value, str) and layout == LAYOUT and _PLAIN.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # the slow way knows what to say
    if not isinstance(value, str):
        raise ValueError(f"json: cannot unmarshal {_json_kind(value)} into Go value of type string")  # noqa: TRY004
    rest = value
    numbers: list[int] = []
    for name, pattern in _STEPS:
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            raise _cannot(value, layout, rest, name)
        if found[0].isdigit():
            numbers.append(int(found[0]))
        rest = rest[found.end() :]
    fraction, rest = _fraction(value, layout, rest)
    zone, rest = _zone(value, layout, rest)
    if rest:
        raise ValueError(f'parsing time "{value}": extra text: "{rest}"')
    return _moment(value, numbers, fraction, zone)


def _fraction(value: str, layout: str, rest: str) -> tuple[int, str]:
    if layout == MICRO_LAYOUT:
        if re.match(r"[.,]\d{6}", rest, re.ASCII) is None:
            raise _cannot(value, layout, rest, ".000000")
        return int(rest[1:7]), rest[7:]
    found = _FRACTION.match(rest)
    if found is None:
        return 0, rest
    return int(found[0][1:7].ljust(6, "0")), rest[found.end() :]


def _zone(value: str, layout: str, rest: str) -> tuple[timezone, str]:
    found = _ZONE.match(rest)
    if found is None:
        raise _cannot(value, layout, rest, "Z07:00")
    if found[0] == "Z":
        return UTC, rest[1:]
    hours, minutes = int(found[2]), int(found[3])
    if hours > 24 or minutes > 60:
        part = "hour" if hours > 24 else "minute"
        raise ValueError(f'parsing time "{value}": time zone offset {part} out of range')
    offset = timedelta(hours=hours, minutes=minutes)
    if offset >= timedelta(hours=24):
        raise ValueError(f'parsing time "{value}": time zone offset hour out of range')
    return timezone(-offset if found[1] == "-" else offset), rest[found.end() :]


def _moment(value: str, numbers: list[int], fraction: int, zone: timezone) -> datetime:
    year, month, day, hour, minute, second = numbers
    for name, number, low, high in (
        ("month", month, 1, 12),
        ("day", day, 1, 31),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
    ):
        if not low <= number <= high:
            raise ValueError(f'parsing time "{value}": {name} out of range')
    try:
        return datetime(year, month, day, hour, minute, second, fraction, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time "{value}": day out of range') from None


def _cannot(value: str, layout: str, rest: str, name: str) -> ValueError:
    return ValueError(f'parsing time "{value}" as "{layout}": cannot parse "{rest}" as "{name}"')


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"
