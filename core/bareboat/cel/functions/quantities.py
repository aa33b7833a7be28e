"""quantity(): amounts as resources have them (`100m`, `1.5Gi`), compared and added exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bareboat.cel.functions.function import Function, Opaque, inside, opaque
from bareboat.models.quantity import Quantity, canonical

KIND = "kubernetes.Quantity"
_MOST = 2**63 - 1


def _made(text: str) -> Opaque:
    return opaque(KIND, canonical(text))


def _valid(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return False
    return True


def _value(quantity: Opaque) -> Fraction:
    return Fraction(Quantity.parse(inside(KIND, quantity)).nanos, 10**9)


def _integer(quantity: Opaque) -> int:
    value = _value(quantity)
    if value.denominator != 1 or abs(value) > _MOST:
        raise ValueError("cannot convert value to integer")
    return int(value)


def _is_integer(quantity: Opaque) -> bool:
    value = _value(quantity)
    return value.denominator == 1 and abs(value) <= _MOST


def _sum(a: Opaque, b: Any, sign: int) -> Opaque:
    left, right = Quantity.parse(inside(KIND, a)), Quantity.parse(inside(KIND, b) if isinstance(b, dict) else b)
    return opaque(KIND, str(Quantity(left.nanos + sign * right.nanos, left.format)))


def compare(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


FUNCTIONS = (
    Function("quantity", _made, "string", "map"),
    Function("isQuantity", _valid, "string", "bool"),
    Function("sign", lambda q: compare(_value(q), 0), "map", "int", member=True),
    Function("isInteger", _is_integer, "map", "bool", member=True),
    Function("asInteger", _integer, "map", "int", member=True),
    Function("asApproximateFloat", lambda q: float(_value(q)), "map", "double", member=True),
    Function("add", lambda a, b: _sum(a, b, 1), "map map", "map", member=True),
    Function("add", lambda a, b: _sum(a, b, 1), "map int", "map", member=True),
    Function("sub", lambda a, b: _sum(a, b, -1), "map map", "map", member=True),
    Function("sub", lambda a, b: _sum(a, b, -1), "map int", "map", member=True),
)


def compared(a: Opaque, b: Opaque) -> int:
    return compare(_value(a), _value(b))
