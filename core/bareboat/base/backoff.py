"""Exponential back-off per key: the first wait, doubling up to a cap, with jitter so that many do not retry at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Backoff:
    """``jitter`` adds up to that share of the wait; ``fraction`` gives numbers in [0, 1) (Ids.fraction)."""

    def __init__(
        self, initial: float, cap: float, *, factor: float = 2.0, jitter: float = 0.1, fraction: Callable[[], float] | None = None
    ) -> None:
        self.initial = initial
        self.cap = cap
        self.factor = factor
        self.jitter = jitter if fraction else 0.0
        self._fraction = fraction or (lambda: 0.0)
        self._failures: dict[Hashable, int] = {}

    def next(self, key: Hashable = None) -> float:
        """Seconds to wait before the next try of ``key``; counts this failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        wait = min(self.cap, self.initial * self.factor ** min(failures, 64))
        return wait * (1.0 + self.jitter * self._fraction())

    def failures(self, key: Hashable = None) -> int:
        return self._failures.get(key, 0)

    def reset(self, key: Hashable = None) -> None:
        """It worked: the next failure waits ``initial`` again."""
        self._failures.pop(key, None)
