"""Expressions as fields: one Cause for what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.api.kinds.causes import invalid
from bareboat.api.kinds.expressions.syntax import check
from bareboat.api.kinds.expressions.tokens import ExpressionFault
from bareboat.models.status import Cause


def expression(field: str, text: str, variables: Iterable[str], kind: str = "bool") -> list[Cause]:
    """``kind`` is what it must evaluate to; "" for anything."""
    try:
        found = check(text, variables)
    except ExpressionFault as fault:
        return [invalid(field, text, str(fault))]
    if not kind or found in (kind, "dyn"):
        return []
    return [
        invalid(field, text, f"must evaluate to {kind} or the unknown type, not {found}" if kind == "bool" else f"must evaluate to {kind}")
    ]
