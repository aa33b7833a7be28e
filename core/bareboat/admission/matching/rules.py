"""Rules of webhooks and policies: operations, groups, versions, resources and scope. Pure functions.

In: rules and the shape of a request. Out: the (group, version) in which the hook wants to see it, or None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bareboat.contracts.admission import AdmissionRequest

GROUP = "admissionregistration.k8s.io"
#: Kinds that guard the cluster are not guarded by what they configure: nobody can lock himself out.
EXEMPT = frozenset(
    {
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    }
)


class Shape(NamedTuple):
    """What rules look at, but for names."""

    operation: str
    group: str
    version: str
    resource: str
    subresource: str
    namespaced: bool


def shape_of(request: AdmissionRequest) -> Shape:
    namespaced = bool(request.namespace) and request.resource != "namespaces"
    return Shape(request.operation, request.group, request.version, request.resource, request.subresource, namespaced)


def wanted_version(
    rules: Sequence[Any], policy: str | None, shape: Shape, versions: Iterable[tuple[str, str]], name: str | None = None
) -> tuple[str, str] | None:
    """The request's own version if a rule names it, else with matchPolicy Equivalent the first other one that a rule names."""
    if any(matches(rule, shape, shape.group, shape.version, name) for rule in rules):
        return shape.group, shape.version
    if policy == "Exact":
        return None
    for group, version in versions:
        if any(matches(rule, shape, group, version, name) for rule in rules):
            return group, version
    return None


def matches(rule: Any, shape: Shape, group: str, version: str, name: str | None = None) -> bool:
    """``name`` None: the rule's resourceNames are left for later."""
    return (
        _has(rule.operations, shape.operation)
        and _has(rule.apiGroups, group)
        and _has(rule.apiVersions, version)
        and _resource(rule.resources, shape.resource, shape.subresource)
        and _scope(rule.scope, shape.namespaced)
        and (name is None or not getattr(rule, "resourceNames", None) or name in rule.resourceNames)
    )


def _has(listed: Sequence[str], value: str) -> bool:
    return "*" in listed or value in listed


def _resource(listed: Sequence[str], resource: str, subresource: str) -> bool:
    for pattern in listed:
        wanted, slash, part = pattern.partition("/")
        if wanted in ("*", resource) and (part in ("*", subresource) if slash else not subresource):
            return True
    return False


def _scope(scope: str | None, namespaced: bool) -> bool:
    return scope in (None, "*", "") or (scope == "Namespaced") == namespaced
