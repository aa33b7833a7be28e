"""The variables of a policy: each expression sees those before it. What fails is told only to who uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bareboat.admission.policies.construction import as_maps
from bareboat.cel.environment import Program, compiled
from bareboat.cel.limits import Budget, ExpressionError, OutOfBudget

NAMES = ("object", "oldObject", "request", "authorizer", "namespaceObject", "params", "variables")
Values = dict[str, Any]


def program(text: str) -> Program:
    """Raises ExpressionError."""
    return compiled(as_maps(text), NAMES)


class Variables:
    def __init__(self, declared: Sequence[Any]) -> None:
        """Raises ExpressionError."""
        self._programs = [(variable.name, program(variable.expression)) for variable in declared]

    def fill(self, values: Values, budget: Budget) -> dict[str, str]:
        """Put them into ``values["variables"]``. The names of those that failed, with why. Raises OutOfBudget."""
        found: Values = {}
        failed: dict[str, str] = {}
        values["variables"] = found
        for name, expression in self._programs:
            try:
                found[name] = expression.evaluate(values, budget)
            except OutOfBudget:
                raise
            except ExpressionError as error:
                failed[name] = _because(str(error), failed)
        return failed


def evaluate(expression: Program, values: Values, failed: dict[str, str], budget: Budget) -> Any:
    """Raises ExpressionError; one about a variable that failed says why it did."""
    try:
        return expression.evaluate(values, budget)
    except OutOfBudget:
        raise
    except ExpressionError as error:
        raise ExpressionError(_because(str(error), failed)) from error


def _because(text: str, failed: dict[str, str]) -> str:
    missing = text.removeprefix("no such key: ").strip()
    if missing in failed:
        return f'composited variable "{missing}" fails to evaluate: {failed[missing]}'
    return text
