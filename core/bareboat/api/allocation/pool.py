"""A pool of numbers, some of them taken: the free ones are handed out at random, so that one just released rests a while."""

from __future__ import annotations

from collections.abc import Callable


class PoolExhausted(Exception):
    """Nothing is free."""


class Pool:
    """Numbers from ``first`` to ``last``."""

    def __init__(self, first: int, last: int, fraction: Callable[[], float]) -> None:
        self.first = first
        self.last = last
        self._fraction = fraction
        self._taken: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def taken(self, number: int) -> bool:
        return number in self._taken

    def take(self, number: int) -> None:
        self._taken.add(number)

    def release(self, number: int) -> None:
        self._taken.discard(number)

    def free(self, besides: set[int]) -> int:
        """A free number that is not in ``besides`` either. Raises PoolExhausted."""
        size = self.last - self.first + 1
        start = int(self._fraction() * size)
        for offset in range(size):
            number = self.first + (start + offset) % size
            if number not in self._taken and number not in besides:
                return number
        raise PoolExhausted
