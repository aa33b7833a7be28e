"""Sets of completion indexes as text: ``1,3-5,7``. Sorted, runs of three and more (and of two) joined by a dash or a comma."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def parse(text: str, limit: int | None = None) -> set[int]:
    """The indexes below ``limit``. Parts that are no numbers are skipped, so that a status somebody broke cannot stop the job."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            continue
        end = int(last or first)
        found.update(range(int(first), min(end, limit - 1 if limit is not None else end) + 1))
    return found


def render(indexes: Iterable[int]) -> str:
    return ",".join(_part(first, last) for first, last in _runs(sorted(set(indexes))))


def _runs(ordered: list[int]) -> Iterator[tuple[int, int]]:
    start = previous = None
    for index in ordered:
        if previous is None or index != previous + 1:
            if start is not None and previous is not None:
                yield start, previous
            start = index
        previous = index
    if start is not None and previous is not None:
        yield start, previous


def _part(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
