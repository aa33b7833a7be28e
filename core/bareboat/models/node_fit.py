"""Which nodes a pod may be on: node selector, required affinity, taints and tolerations. Pure functions.

A node is anything with the metadata and taints of one, so that a reader may keep just those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bareboat.models import core_v1


def matches_node(selector: dict[str, str], affinity: core_v1.NodeAffinity | None, node: Any) -> bool:
    """Node selector and required node affinity."""
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    return required is None or any(term_matches(term, node) for term in required.nodeSelectorTerms)


def tolerated(taint: Any, tolerations: Iterable[core_v1.Toleration]) -> bool:
    """Whether any toleration matches the taint (key and effect "" match all; Exists ignores the value)."""
    return any(
        t.effect in ("", taint.effect)
        and t.key in ("", taint.key)
        and (t.operator == "Exists" or (t.operator in ("", "Equal") and t.key == taint.key and t.value == taint.value))
        for t in tolerations
    )


def term_matches(term: core_v1.NodeSelectorTerm, node: Any) -> bool:
    """A term without expressions matches nothing."""
    if not term.matchExpressions and not term.matchFields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return all(requirement_matches(r, node.metadata.labels) for r in term.matchExpressions) and all(
        requirement_matches(r, fields) for r in term.matchFields
    )


def requirement_matches(requirement: Any, labels: dict[str, str]) -> bool:
    """One expression of a node selector term."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(value, operator, requirement.values)
    return False


def _compares(value: str | None, operator: str, values: list[str]) -> bool:
    try:
        have, want = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return have > want if operator == "Gt" else have < want
