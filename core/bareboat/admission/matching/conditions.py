"""matchConditions: expressions that must all be true. In: compiled conditions and variables. Out: whether to go on, or what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bareboat.cel.environment import Program, compiled
from bareboat.cel.limits import PER_CONDITIONS, Budget, ExpressionError, OutOfBudget


class ConditionError(ValueError):
    """No condition is false and some could not be evaluated."""


class Conditions:
    """``names`` are the variables that the expressions may use."""

    def __init__(self, conditions: Sequence[Any], names: tuple[str, ...]) -> None:
        """Raises ExpressionError for what does not compile."""
        self._programs: list[tuple[str, Program]] = [(c.name, compiled(c.expression, names)) for c in conditions]

    def __bool__(self) -> bool:
        return bool(self._programs)

    def hold(self, variables: dict[str, Any]) -> bool:
        """False as soon as one is false, whatever else fails. Raises ConditionError."""
        faults = []
        budget = Budget(PER_CONDITIONS)
        for name, program in self._programs:
            try:
                if program.evaluate(variables, budget) is not True:
                    return False
            except OutOfBudget as error:
                raise ConditionError(str(error)) from error
            except ExpressionError as error:
                faults.append(f"failed to evaluate match condition {name!r}: {error}")
        if faults:
            raise ConditionError("; ".join(faults))
        return True
