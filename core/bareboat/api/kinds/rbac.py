"""Roles and bindings."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, invalid, named, required, unsupported
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import usable, validate_selector
from bareboat.api.strategy import Strategy
from bareboat.models.names import dns1123_subdomain
from bareboat.models.status import Cause

GROUP = "rbac.authorization.k8s.io"


class PathNamed(PlainStrategy):
    """Names only have to fit into a path."""

    allow_create_on_update = True

    def validate_name(self, name: str) -> list[str]:
        return path_segment(name)


def validate_rule(rule: Any, at: str, *, namespaced: bool) -> list[Cause]:
    causes = [] if rule.verbs else [required(f"{at}.verbs", "verbs must contain at least one value")]
    if rule.nonResourceURLs:
        field = f"{at}.nonResourceURLs"
        if namespaced:
            causes.append(invalid(field, rule.nonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
        if rule.apiGroups or rule.resources or rule.resourceNames:
            message = "rules cannot apply to both regular resources and non-resource URLs"
            causes.append(invalid(field, rule.nonResourceURLs, message))
        return causes
    if not rule.apiGroups:
        causes.append(required(f"{at}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.resources:
        causes.append(required(f"{at}.resources", "resource rules must supply at least one resource"))
    return causes


class RoleStrategy(PathNamed):
    def validate_create(self, obj: Any) -> list[Cause]:
        namespaced = obj.kind == "Role"
        causes = [c for i, rule in enumerate(obj.rules) for c in validate_rule(rule, f"rules[{i}]", namespaced=namespaced)]
        aggregation = getattr(obj, "aggregationRule", None)
        return causes + (_aggregation(aggregation, "aggregationRule.clusterRoleSelectors") if aggregation is not None else [])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _aggregation(rule: Any, at: str) -> list[Cause]:
    if not rule.clusterRoleSelectors:
        return [required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    causes: list[Cause] = []
    for i, selector in enumerate(rule.clusterRoleSelectors):
        causes += validate_selector(selector, f"{at}[{i}]")
        if usable(selector) is None:
            causes.append(Cause("FieldValueInvalid", "Invalid value: null: invalid label selector.", f"{at}[{i}]"))
    return causes


class BindingStrategy(PathNamed):
    def default(self, obj: Any) -> None:
        obj.roleRef.apiGroup = obj.roleRef.apiGroup or GROUP
        for subject in obj.subjects:
            if not subject.apiGroup and subject.kind in ("User", "Group"):
                subject.apiGroup = GROUP

    def validate_create(self, obj: Any) -> list[Cause]:
        cluster = obj.kind == "ClusterRoleBinding"
        allowed = ("ClusterRole",) if cluster else ("Role", "ClusterRole")
        reference = obj.roleRef
        causes: list[Cause] = []
        if reference.apiGroup != GROUP:
            causes.append(unsupported("roleRef.apiGroup", reference.apiGroup, (GROUP,)))
        if reference.kind not in allowed:
            causes.append(unsupported("roleRef.kind", reference.kind, allowed))
        causes += named("roleRef.name", reference.name, path_segment)
        for i, subject in enumerate(obj.subjects):
            causes += _subject(subject, f"subjects[{i}]", cluster=cluster)
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new)
        if new.roleRef != old.roleRef:
            causes.append(invalid("roleRef", new.roleRef, "cannot change roleRef"))
        return causes


def _subject(subject: Any, at: str, *, cluster: bool) -> list[Cause]:
    causes = [] if subject.name else [required(f"{at}.name")]
    if subject.kind == "ServiceAccount":
        if subject.name:
            causes += each(f"{at}.name", subject.name, dns1123_subdomain(subject.name))
        if subject.apiGroup:
            causes.append(unsupported(f"{at}.apiGroup", subject.apiGroup, ("",)))
        if cluster and not subject.namespace:
            causes.append(required(f"{at}.namespace"))
    elif subject.kind in ("User", "Group"):
        if subject.apiGroup != GROUP:
            causes.append(unsupported(f"{at}.apiGroup", subject.apiGroup, (GROUP,)))
    else:
        causes.append(unsupported(f"{at}.kind", subject.kind, ("ServiceAccount", "User", "Group")))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {
    f"{GROUP}/roles": RoleStrategy,
    f"{GROUP}/clusterroles": RoleStrategy,
    f"{GROUP}/rolebindings": BindingStrategy,
    f"{GROUP}/clusterrolebindings": BindingStrategy,
}
