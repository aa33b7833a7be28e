"""How long requests waited at the gate: upstream's histogram, of those that waited at all."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

#: Upper bounds in seconds (upstream's).
BUCKETS: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
#: schema, level, whether it ran in the end
Labels = tuple[str, str, bool]


class Waits:
    """Of one server."""

    def __init__(self) -> None:
        self.found: dict[Labels, tuple[list[int], list[float]]] = {}

    def add(self, schema: str, level: str, ran: bool, seconds: float) -> None:
        counts, total = self.found.setdefault((schema, level, ran), ([0] * (len(BUCKETS) + 1), [0.0]))
        counts[bisect_left(BUCKETS, seconds)] += 1
        total[0] += seconds
