"""Cron schedules as CronJobs write them: five fields, names, steps, ``@hourly`` and its like, ``@every 1h30m``, ``TZ=`` in front.

In: text. Out: a Schedule that knows the next moment after another, daylight saving included: an hour that a zone skips is skipped,
one that it repeats is met twice. The messages of ScheduleError are those that clients of the API know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = {n: i for i, n in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_DAYS = {n: i for i, n in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 6, _DAYS))
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class ScheduleError(ValueError):
    """The text is no schedule, or names no time zone."""


class Schedule(Protocol):
    def next(self, after: datetime) -> datetime | None:
        """The first moment after ``after``; None if there is none in five years."""


@dataclass(frozen=True)
class Every:
    """A fixed interval from whatever moment it is asked for."""

    interval: timedelta

    def next(self, after: datetime) -> datetime | None:
        return after.replace(microsecond=0) + self.interval


@dataclass(frozen=True)
class Calendar:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last_year = moment.year + 5
        while (local := moment.astimezone(self.zone)).year <= last_year:
            if local.month not in self.months:
                moment = self._midnight(local.year + local.month // 12, local.month % 12 + 1, 1)
            elif not self._day_matches(local):
                following = local.date() + timedelta(days=1)
                moment = self._midnight(following.year, following.month, following.day)
            elif local.hour not in self.hours:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                later = [m for m in self.minutes if m > local.minute]
                moment += timedelta(minutes=min(later, default=60) - local.minute)
            else:
                return moment
        return None

    def _midnight(self, year: int, month: int, day: int) -> datetime:
        return datetime(year, month, day, tzinfo=self.zone).astimezone(UTC)

    def _day_matches(self, local: datetime) -> bool:
        """Either of day and weekday will do, unless one of them is a star."""
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.any_day or self.any_weekday else (day or weekday)


def zone_named(name: str) -> tzinfo:
    """Raises ScheduleError for a zone that is not known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def parse(text: str, zone: tzinfo = UTC) -> Schedule:
    """``zone`` is where the fields are read, unless the text starts with TZ= or CRON_TZ=."""
    if not text.strip():
        raise ScheduleError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        name = head.partition("=")[2]
        try:
            zone = zone_named(name)
        except ScheduleError as error:
            raise ScheduleError(f"provided bad location {name}: {error}") from error
        text = text.strip()
    if text.startswith("@every "):
        return Every(_interval(text))
    if text.startswith("@"):
        if text not in _NAMED:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _NAMED[text]
    fields = text.split()
    if len(fields) != 5:
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = (
        _field(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)
    )
    return Calendar(minutes, hours, days, months, weekdays, any_day, any_weekday, zone)


def _interval(text: str) -> timedelta:
    duration = text.removeprefix("@every ")
    parts = _DURATION.findall(duration)
    if not parts or "".join(n + u for n, u in parts) != duration:
        raise ScheduleError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    return timedelta(seconds=max(1, int(sum(float(n) * _UNITS[u] for n, u in parts))))


def _field(text: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """The values, and whether the field is a star."""
    found: set[int] = set()
    star = False
    for part in (p for p in text.split(",") if p):
        values, is_star = _range(part, low, high, names)
        found.update(values)
        star = star or is_star
    return frozenset(found), star


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[range, bool]:
    bounds, *steps = text.split("/")
    ends = bounds.split("-")
    star = ends[0] in ("*", "?")
    if star:
        start, end = low, high
    else:
        start = _number(ends[0], names)
        end = _number(ends[1], names) if len(ends) == 2 else start
    if len(ends) > 2:
        raise ScheduleError(f"too many hyphens: {text}")
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {text}")
    step = _number(steps[0], {}) if steps else 1
    if steps and len(ends) == 1 and not star:
        end = high
    _check(text, start, end, step, low, high)
    return range(start, end + 1, step), star and step == 1


def _check(text: str, start: int, end: int, step: int, low: int, high: int) -> None:
    if start < low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({low}): {text}")
    if end > high:
        raise ScheduleError(f"end of range ({end}) above maximum ({high}): {text}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isascii() or not text.removeprefix("+").isdigit():
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
