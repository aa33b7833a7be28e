"""How many seats each level has now: unused seats of one are lent to another, as upstream works it out every ten seconds.

In: per level the nominal seats, the bounds that lending and borrowing set, and how many seats were wanted lately. Out: the
current limits. Every level gets at least what it wants of its own or what it may not lend; what is left is shared in
proportion to what each wants.
"""

from __future__ import annotations

from collections.abc import Sequence

from bareboat.server.fairness.level import Level

#: How much of the smoothed demand stays in one period (half of it is gone after some five minutes).
DECAY = 0.977
_STEPS = 40


def smooth(level: Level) -> float:
    """The demand that the level is planned with: up at once, down slowly. Starts a new period."""
    peak = level.peak
    level.smoothed = max(float(peak), DECAY * level.smoothed + (1 - DECAY) * peak)
    level.peak = level.demand
    return level.smoothed


def share(levels: Sequence[Level], total: int) -> dict[str, int]:
    """The current limit of each level, by name."""
    peaks = {level.name: level.peak for level in levels}
    wanted = {level.name: smooth(level) for level in levels}
    least = {level.name: max(level.lower, min(level.nominal, peaks[level.name])) for level in levels}
    target = {name: max(float(least[name]), amount, 1.0) for name, amount in wanted.items()}

    def at(fraction: float) -> dict[str, float]:
        return {v.name: min(float(v.upper), max(float(least[v.name]), fraction * target[v.name])) for v in levels}

    low, high = 0.0, float(total)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(at(middle).values()) < total else (low, middle)
    return {name: round(seats) for name, seats in at(high).items()}
