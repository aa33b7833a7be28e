"""A pool of numbers, some of them taken: the free ones are handed out at random, so that one just released rests a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class PoolExhausted(Exception):
    """Nothing is free."""


class Pool:
    """Numbers from ``first`` to ``last``."""

    def __init__(self, first: int, last: int, fraction: Callable[[], float]) -> None:
        self.first = first
        self.last = last
        self._fraction = fraction
        self._taken: Counter[int] = Counter()

    def clear(self) -> None:
        self._taken.clear()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def taken(self, number: int) -> bool:
        return number in self._taken

    def take(self, number: int) -> None:
        """Each take needs a release: a write under way and the object that it made may both hold a number."""
        self._taken[number] += 1

    def release(self, number: int) -> None:
        self._taken[number] -= 1
        if self._taken[number] <= 0:
            del self._taken[number]

    def free(self, besides: set[int]) -> int:
        """A free number that is not in ``besides`` either. Raises PoolExhausted."""
        size = self.last - self.first + 1
        start = int(self._fraction() * size)
        for offset in range(size):
            number = self.first + (start + offset) % size
            if number not in self._taken and number not in besides:
                return number
        raise PoolExhausted
