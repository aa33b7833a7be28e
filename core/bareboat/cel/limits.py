"""How much evaluating may cost, in upstream's units, and what is said when it would be more.

The runtime gives up by itself after ten thousand rounds of loops. What it does not watch is how much one round does and how large
its results grow; that is bounded beforehand from the values at hand (``costs``), and refused where the bound is too high.
"""

from __future__ import annotations

#: Of one expression as a definition's schema bounds it, and of all rules of one schema.
ESTIMATED_RULE, ESTIMATED_SCHEMA = 10_000_000, 100_000_000
#: Of one evaluation, as its values bound it. The bound counts both sides of what is skipped, upstream only what was done.
PER_CALL, SLACK = 1_000_000, 5
#: Of all rules on one object, of one policy, of the match conditions of one hook.
PER_REQUEST, PER_CONDITIONS = 10_000_000, 2_500_000
CANCELLED = "operation cancelled: actual cost limit exceeded"
SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


class ExpressionError(ValueError):
    """An expression that cannot be compiled, or that failed on the values it was given."""


class TooExpensive(ExpressionError):
    """One evaluation that would cost more than one may."""

    def __init__(self) -> None:
        super().__init__(CANCELLED)


class OutOfBudget(ExpressionError):
    """Nothing is left to evaluate more with."""

    def __init__(self) -> None:
        super().__init__(SPENT)


class Budget:
    """What several evaluations may cost together."""

    __slots__ = ("left",)

    def __init__(self, units: int = PER_REQUEST) -> None:
        self.left = units

    def spend(self, units: int) -> None:
        """Raises OutOfBudget."""
        self.left -= units
        if self.left < 0:
            raise OutOfBudget


def exceeding(what: str, cost: int, limit: int) -> str:
    """How far an estimate is above what is allowed, and what helps."""
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{what} exceeds budget by factor of {shown} (try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength "
        "where arrays, maps, and strings are declared)"
    )
