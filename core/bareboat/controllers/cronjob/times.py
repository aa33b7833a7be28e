"""Which moment of a schedule is due, how many were missed, and when to look again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from bareboat.models.cron import Every, Schedule

#: More missed moments than this are worth a warning.
MANY = 100
#: Looking again this much after the moment, so that it is surely over.
MARGIN = 0.1


class Due(NamedTuple):
    """``moment`` None = nothing is due. ``since`` is where the search began."""

    moment: datetime | None
    missed: int
    since: datetime


def due(schedule: Schedule, created: datetime, last: datetime | None, now: datetime, deadline: int | None = None) -> Due:
    """The newest moment that is over and was not served; nothing older than ``deadline`` seconds."""
    since = last if last is not None else created
    if deadline is not None:
        since = max(since, now - timedelta(seconds=deadline))
    first = schedule.next(since)
    if first is None or now < first:
        return Due(None, 0, since)
    second = schedule.next(first)
    if second is None or now < second:
        return Due(first, 1, since)
    gap = second - first
    missed = int((now - first) / gap) + 1
    return Due(_newest(schedule, first, gap, now), missed, since)


def _newest(schedule: Schedule, first: datetime, gap: timedelta, now: datetime) -> datetime:
    """Looks back from now in growing steps, not through thousands of moments."""
    if isinstance(schedule, Every):  # counted from the first, not from wherever one looks
        return first + gap * int((now - first) / gap)
    step = gap
    start = max(first, now - step)
    while start > first and ((found := schedule.next(start)) is None or found > now):
        step *= 2
        start = max(first, now - step)
    newest, following = first, schedule.next(start)
    while following is not None and following <= now:
        newest = following
        following = schedule.next(following)
    return newest


def wait(schedule: Schedule, created: datetime, last: datetime | None, now: datetime) -> float | None:
    """Seconds until the next moment, None if there is none."""
    found = due(schedule, created, last, now)
    base = found.moment if found.moment is not None else found.since
    following = schedule.next(base)
    while following is not None and following <= now:
        following = schedule.next(max(following, now))
    return None if following is None else (following - now).total_seconds() + MARGIN
