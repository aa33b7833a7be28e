"""Rules of a schema against the schema itself: members and operands that cannot be, and what evaluating may cost.

In: the schema of a version, and the faults that were found without this. Out: a Cause for each rule that names what is not there, for
each that may cost too much, and for all together. How often a rule runs is how often its level can come in one request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bareboat.api.custom.bounds import declared, least, most
from bareboat.api.custom.schema import Schema, Tree, compiled
from bareboat.api.kinds.causes import forbidden, invalid
from bareboat.cel.environment import compiled as expression
from bareboat.cel.environment import pointed
from bareboat.cel.limits import ESTIMATED_RULE, ESTIMATED_SCHEMA, ExpressionError, exceeding
from bareboat.cel.shapes import LARGEST, Shape
from bareboat.models.codec import to_tree
from bareboat.models.status import Cause

_VARIABLES = ("self", "oldSelf")
_MOST_TOLD = 4
_TOTAL = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
_PART = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"


@dataclass(slots=True)
class _Bill:
    known: frozenset[str]
    causes: list[Cause] = field(default_factory=list)
    parts: list[tuple[int, str]] = field(default_factory=list)


def priced_rules(schema: Any, at: str, known: list[Cause]) -> list[Cause]:
    """``known``: what is wrong anyway; rules among it are not looked at again."""
    tree = to_tree(schema)
    if not isinstance(tree, dict) or not _has_rules(tree):
        return []
    bill = _Bill(frozenset(cause.field for cause in known))
    for found, where, times, root in _levels(compiled(tree), at, 1, True):
        shape = declared(found, resource=root)
        for i, rule in enumerate(found.rules):
            _rule(bill, rule, shape, f"{where}.x-kubernetes-validations[{i}]", times if times is not None else _fitting(found))
    total = sum(cost for cost, _ in bill.parts)
    if total > ESTIMATED_SCHEMA:
        dearest = sorted(bill.parts, key=lambda part: -part[0])[:_MOST_TOLD]
        bill.causes += [forbidden(where, _PART) for _, where in dearest]
        bill.causes.append(forbidden(at, exceeding(_TOTAL, total, ESTIMATED_SCHEMA)))
    return bill.causes


def _has_rules(tree: Any) -> bool:
    if isinstance(tree, dict):
        return "x-kubernetes-validations" in tree or any(_has_rules(v) for v in tree.values() if isinstance(v, dict | list))
    return isinstance(tree, list) and any(_has_rules(item) for item in tree)


def _levels(schema: Schema, at: str, times: int | None, root: bool = False) -> Iterator[tuple[Schema, str, int | None, bool]]:
    """Every level, with how often it can come; None where the schema does not say."""
    yield schema, at, times, root
    for name, child in schema.properties.items():
        yield from _levels(child, f"{at}.properties[{name}]", times)
    if schema.items is not None:
        yield from _levels(schema.items, f"{at}.items", _times(times, schema, "maxItems"))
    if isinstance(schema.additional, Schema):
        yield from _levels(schema.additional, f"{at}.additionalProperties", _times(times, schema, "maxProperties"))


def _times(times: int | None, schema: Schema, limit: str) -> int | None:
    return None if times is None or limit not in (schema.values or {}) else times * most(schema)


def _fitting(schema: Schema) -> int:
    return LARGEST // (least(schema) + 1)


def _rule(bill: _Bill, rule: Tree, shape: Shape, at: str, times: int) -> None:
    old = Shape("optional", element=shape) if rule.get("optionalOldSelf") else shape
    shapes = {"self": shape, "oldSelf": old}
    cost = _expression(bill, rule.get("rule") or "", shapes, f"{at}.rule", times, "estimated rule cost")
    if cost is not None:
        bill.parts.append((cost, f"{at}.rule"))
    if rule.get("messageExpression"):
        told = _expression(bill, rule["messageExpression"], shapes, f"{at}.messageExpression", times, "estimated messageExpression cost")
        if told is not None:
            bill.parts.append((told, f"{at}.messageExpression"))


def _expression(bill: _Bill, text: str, shapes: dict[str, Shape], at: str, times: int, what: str) -> int | None:
    if not text.strip() or at in bill.known:
        return None
    try:
        program = expression(text, _VARIABLES)
    except ExpressionError:
        return None  # told by whoever compiles it
    found = program.estimate(shapes)
    if found.faults:
        said = "\n".join(pointed(program.spelled, place, fault) for place, fault in found.faults)
        bill.causes.append(invalid(at, text, f"compilation failed: {said}"))
        return None
    cost = found.cost * times
    if cost > ESTIMATED_RULE:
        bill.causes.append(forbidden(at, exceeding(what, cost, ESTIMATED_RULE)))
    return cost
