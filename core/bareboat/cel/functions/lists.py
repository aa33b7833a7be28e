"""What lists can do beyond CEL's own macros: sums, bounds, places."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from bareboat.cel.functions.function import Function


def _sum(items: list[Any]) -> Any:
    if items and isinstance(items[0], timedelta):
        return sum(items, timedelta())
    return sum(items)


def _bound(items: list[Any], name: str) -> Any:
    if not items:
        raise ValueError(f"{name} called on empty list")
    return min(items) if name == "min" else max(items)


def _index(items: list[Any], wanted: Any, last: bool = False) -> int:
    places = [i for i, item in enumerate(items) if item == wanted]
    return places[-1 if last else 0] if places else -1


FUNCTIONS = (
    Function("isSorted", lambda items: all(a <= b for a, b in pairwise(items)), "list", "bool", member=True),
    Function("sum", _sum, "list", "dyn", member=True),
    Function("min", lambda items: _bound(items, "min"), "list", "dyn", member=True),
    Function("max", lambda items: _bound(items, "max"), "list", "dyn", member=True),
    Function("indexOf", _index, "list dyn", "int", member=True),
    Function("lastIndexOf", lambda items, wanted: _index(items, wanted, True), "list dyn", "int", member=True),
)
