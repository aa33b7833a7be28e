"""The schedule of a CronJob: five fields, names of months and days, or a word such as @hourly. Out: what is wrong with it."""

from __future__ import annotations

import re

_MONTHS = {name: i for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_DAYS = {name: i for i, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 6, _DAYS))
_WORDS = frozenset(("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"))
_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*", re.ASCII)


def schedule_fault(text: str) -> str:
    """The sentence, or "" for a good schedule."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        if text in _WORDS:
            return ""
        if text.startswith("@every "):
            duration = text.removeprefix("@every ")
            good = _DURATION.fullmatch(duration)
            return "" if good else f'failed to parse duration {text}: time: invalid duration "{duration}"'
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            fault = _range_fault(part, low, high, names)
            if fault:
                return fault
    return ""


def _range_fault(text: str, low: int, high: int, names: dict[str, int]) -> str:
    base, *steps = text.split("/")
    ends = base.split("-")
    if ends[0] in ("*", "?"):
        start, end = low, high
    else:
        if len(ends) > 2:
            return f"too many hyphens: {text}"
        numbers = [_number(word, names) for word in ends]
        for word, number in zip(ends, numbers, strict=True):
            if number is None:
                return f'failed to parse int from {word}: strconv.Atoi: parsing "{word}": invalid syntax'
        start, end = numbers[0] or 0, numbers[-1] or 0
    if len(steps) > 1:
        return f"too many slashes: {text}"
    step = 1
    if steps:
        parsed = _number(steps[0], {})
        if parsed is None:
            return f'failed to parse int from {steps[0]}: strconv.Atoi: parsing "{steps[0]}": invalid syntax'
        step = parsed
        end = high if len(ends) == 1 else end
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {text}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {text}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {text}"
    return f"step of range should be a positive number: {text}" if step == 0 else ""


def _number(word: str, names: dict[str, int]) -> int | None:
    if word.lower() in names:
        return names[word.lower()]
    return int(word) if word.isascii() and word.isdigit() else None
