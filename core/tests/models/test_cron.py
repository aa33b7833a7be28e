"""Cron schedules: fields, names, steps, day against weekday, daylight saving, and what is no schedule."""

from datetime import UTC, datetime

import pytest

from bareboat.models.cron import ScheduleError, parse, zone_named


def following(text, start, count=1, zone=""):
    schedule, moment, found = parse(text, zone_named(zone)), datetime.fromisoformat(start).replace(tzinfo=UTC), []
    for _ in range(count):
        moment = schedule.next(moment)
        found.append(moment.strftime("%Y-%m-%dT%H:%M") if moment else None)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-01-01T00:01"),
        ("*/15 * * * *", "2026-01-01T00:15"),
        ("5/15 * * * *", "2026-01-01T00:05"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 * * MON-fri", "2026-01-01T12:00"),
        ("30 4 1,15 * *", "2026-01-01T04:30"),
        ("0 0 ? 3 *", "2026-03-01T00:00"),
        ("0 0 13 * 5", "2026-01-02T00:00"),
        ("0 0 */2 * 5", "2026-01-02T00:00"),
        ("@hourly", "2026-01-01T01:00"),
        ("@weekly", "2026-01-04T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("@every 1h30m", "2026-01-01T01:30"),
        ("TZ=Asia/Tokyo 0 9 * * *", "2026-01-02T00:00"),
        ("0 0 31 2 *", None),
    ],
)
def test_the_next_moment(text, expected):
    assert following(text, "2026-01-01T00:00") == [expected]


def test_an_hour_that_does_not_exist_is_skipped_and_a_repeated_one_met_twice():
    assert following("30 2 * * *", "2026-03-28T12:00", 2, "Europe/Berlin") == ["2026-03-30T00:30", "2026-03-31T00:30"]
    assert following("30 2 * * *", "2026-10-24T12:00", 3, "Europe/Berlin") == ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-26T01:30"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty spec string"),
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
    ],
)
def test_what_is_no_schedule_says_why(text, message):
    with pytest.raises(ScheduleError) as caught:
        parse(text)
    assert str(caught.value) == message
