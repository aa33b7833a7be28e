"""Roles and bindings."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import invalid, required, unsupported
from bareboat.api.strategy import Strategy
from bareboat.models.status import Cause

GROUP = "rbac.authorization.k8s.io"


class PathNamed(PlainStrategy):
    """Names only have to fit into a path."""

    def validate_name(self, name: str) -> list[str]:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{c}'" for c in "/%" if c in name]


class RoleStrategy(PathNamed):
    def validate_create(self, obj: Any) -> list[Cause]:
        causes: list[Cause] = []
        for i, rule in enumerate(obj.rules):
            if not rule.verbs:
                causes.append(required(f"rules[{i}].verbs", "verbs must contain at least one value"))
            if rule.nonResourceURLs:
                continue
            if not rule.apiGroups:
                causes.append(required(f"rules[{i}].apiGroups", "resource rules must supply at least one api group"))
            if not rule.resources:
                causes.append(required(f"rules[{i}].resources", "resource rules must supply at least one resource"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class BindingStrategy(PathNamed):
    def default(self, obj: Any) -> None:
        obj.roleRef.apiGroup = obj.roleRef.apiGroup or GROUP
        for subject in obj.subjects:
            if not subject.apiGroup and subject.kind in ("User", "Group"):
                subject.apiGroup = GROUP

    def validate_create(self, obj: Any) -> list[Cause]:
        allowed = ("ClusterRole",) if obj.kind == "ClusterRoleBinding" else ("ClusterRole", "Role")
        causes: list[Cause] = []
        if obj.roleRef.kind not in allowed:
            causes.append(unsupported("roleRef.kind", obj.roleRef.kind, allowed))
        if not obj.roleRef.name:
            causes.append(required("roleRef.name"))
        for i, subject in enumerate(obj.subjects):
            if not subject.name:
                causes.append(required(f"subjects[{i}].name"))
            if subject.kind not in ("Group", "ServiceAccount", "User"):
                causes.append(unsupported(f"subjects[{i}].kind", subject.kind, ("Group", "ServiceAccount", "User")))
            if subject.kind == "ServiceAccount" and not subject.namespace and obj.kind == "ClusterRoleBinding":
                causes.append(required(f"subjects[{i}].namespace"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new)
        if new.roleRef != old.roleRef:
            from bareboat.api.kinds.causes import plain

            causes.append(invalid("roleRef", plain(new.roleRef), "cannot change roleRef"))
        return causes


STRATEGIES: dict[str, type[Strategy]] = {
    f"{GROUP}/roles": RoleStrategy,
    f"{GROUP}/clusterroles": RoleStrategy,
    f"{GROUP}/rolebindings": BindingStrategy,
    f"{GROUP}/clusterrolebindings": BindingStrategy,
}
