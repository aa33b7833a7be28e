"""When the next pod after a failure is due: ten seconds, doubling per failure in a row, ten minutes at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FIRST, LONGEST = 10.0, 600.0


def remaining(failures: int, last: float | None, now: float) -> float:
    """Seconds to wait after ``failures`` in a row, the last at ``last``."""
    if failures <= 0 or last is None:
        return 0.0
    wait = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 32))
    return max(0.0, last + wait - now)


@dataclass(frozen=True)
class Record:
    """Failures since the last success."""

    failures: int = 0
    last: float | None = None

    def after(self, successes: Iterable[float], failures: Iterable[float]) -> Record:
        """With the ends of pods that were not known yet."""
        failed, last_success = sorted(failures), max(successes, default=None)
        if last_success is not None:
            since = [f for f in failed if f > last_success]
            return Record(len(since), since[-1] if since else None)
        if not failed:
            return self
        return Record(self.failures + len(failed), failed[-1])

    def remaining(self, now: float) -> float:
        return remaining(self.failures, self.last, now)
