"""Times: canonical text and the words of Go for what is wrong."""

from datetime import UTC, datetime

import pytest

from bareboat.models import times


def test_canonical_times_stay_and_zones_are_converted():
    assert times.canonical("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05Z"
    assert times.canonical("2026-01-02T03:04:05.999-02:30") == "2026-01-02T05:34:05Z"
    assert times.canonical("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00Z"


def test_years_have_four_digits():
    moment = datetime(1, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert times.format_seconds(moment) == "0001-01-01T00:00:02Z"
    assert times.format_micro(moment) == "0001-01-01T00:00:02.000000Z"


def test_micro_times_need_six_digits():
    assert times.canonical_micro("2026-01-02T03:04:05.000006Z") == "2026-01-02T03:04:05.000006Z"
    with pytest.raises(ValueError, match=r'cannot parse "Z" as "\.000000"'):
        times.canonical_micro("2026-01-02T03:04:05Z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'cannot parse "" as "2006"'),
        ("2026-01-02", 'cannot parse "" as "T"'),
        ("2026-01-02 03:04:05Z", 'cannot parse " 03:04:05Z" as "T"'),
        ("2026-13-02T03:04:05Z", "month out of range"),
        ("2026-02-30T03:04:05Z", "day out of range"),
        ("2026-01-02T03:04:05", 'cannot parse "" as "Z07:00"'),
        ("2026-01-02T03:04:05Zx", 'extra text: "x"'),
    ],
)
def test_wrong_times_are_explained(text, message):
    with pytest.raises(ValueError, match="parsing time") as caught:
        times.canonical(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["2026-02-29T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "2026-01-01T00:00:60.000000Z"])
def test_micro_times_that_look_right_and_are_not_are_refused(text):
    with pytest.raises(ValueError, match="out of range"):
        times.canonical_micro(text)
