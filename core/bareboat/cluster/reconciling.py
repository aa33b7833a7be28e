"""Bringing roles and bindings of the bootstrap up to date: what is missing is added, what somebody added stays. Pure.

The annotation ``rbac.authorization.kubernetes.io/autoupdate: "false"`` on what is stored keeps it as it is.
"""

from __future__ import annotations

from typing import Any

from bareboat.models import rbac_v1
from bareboat.models.codec import encode

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
KINDS = (rbac_v1.ClusterRole, rbac_v1.Role, rbac_v1.ClusterRoleBinding, rbac_v1.RoleBinding)


def protected(known: Any) -> bool:
    return bool(known.metadata.annotations.get(AUTOUPDATE) == "false")


def replaced(known: Any, wanted: Any) -> bool:
    """A binding to another role cannot be changed, only made anew."""
    return getattr(known, "roleRef", None) != getattr(wanted, "roleRef", None)


def updated(known: Any, wanted: Any) -> bool:
    """Add to ``known`` what it lacks; whether that was anything."""
    changed = False
    for what in ("labels", "annotations"):
        before, more = getattr(known.metadata, what), getattr(wanted.metadata, what)
        merged = {**more, **before}
        changed |= merged != before
        setattr(known.metadata, what, merged)
    if isinstance(known, rbac_v1.ClusterRole) and wanted.aggregationRule is not None:
        return _selectors(known, wanted) or changed
    field = "subjects" if hasattr(known, "subjects") else "rules"
    missing = _missing(getattr(known, field), getattr(wanted, field))
    setattr(known, field, [*getattr(known, field), *missing])
    return changed or bool(missing)


def _selectors(known: rbac_v1.ClusterRole, wanted: rbac_v1.ClusterRole) -> bool:
    assert wanted.aggregationRule is not None
    if known.aggregationRule is None:
        known.aggregationRule = wanted.aggregationRule
        return True
    before = known.aggregationRule.clusterRoleSelectors
    missing = _missing(before, wanted.aggregationRule.clusterRoleSelectors)
    known.aggregationRule.clusterRoleSelectors = [*before, *missing]
    return bool(missing)


def _missing(known: list[Any], wanted: list[Any]) -> list[Any]:
    there = {encode(item) for item in known}
    return [item for item in wanted if encode(item) not in there]
