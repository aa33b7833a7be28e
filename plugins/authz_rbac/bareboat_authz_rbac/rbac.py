"""RBAC over an index: subject → bindings → compiled rules. A change of a role or binding acts on the next request.

What comes in: roles and bindings through the Reader's subscription. What goes out: decisions. Aggregated ClusterRoles are
the union of the roles that their selectors match, worked out when one of them changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bareboat.contracts.auth import ALLOW, Attributes, Authorizer, Decision, Reader, UserInfo
from bareboat.models import rbac_v1
from bareboat.models.selectors import from_label_selector
from bareboat_authz_rbac.rules import CompiledRule

Subject = tuple[str, str, str]
RoleKey = tuple[str, str]


class Grant(msgspec.Struct, frozen=True):
    """What a binding gives: a role, in a namespace ("" = everywhere)."""

    role: RoleKey
    namespace: str


class RbacAuthorizer(Authorizer):
    """See contracts.auth.Authorizer."""

    name = "rbac"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rules: dict[RoleKey, list[CompiledRule]] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._aggregated: dict[str, list[Any]] = {}
        self._grants: dict[Subject, set[Grant]] = {}
        self._bindings: dict[tuple[str, str, str], tuple[list[Subject], Grant]] = {}
        reader.subscribe(rbac_v1.ClusterRole, self._cluster_role)
        reader.subscribe(rbac_v1.Role, self._role)
        reader.subscribe(rbac_v1.ClusterRoleBinding, self._cluster_binding)
        reader.subscribe(rbac_v1.RoleBinding, self._binding)

    async def authorize(self, attributes: Attributes) -> Decision:
        for grant in self._granted(attributes.user):
            if grant.namespace and grant.namespace != attributes.namespace:
                continue
            for rule in self._rules.get(grant.role, ()):
                if rule.allows(attributes):
                    return ALLOW
        return Decision("NoOpinion")

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[dict[str, list[str]]], list[dict[str, list[str]]], bool]:
        resources: list[dict[str, list[str]]] = []
        paths: list[dict[str, list[str]]] = []
        for grant in self._granted(user):
            if grant.namespace and grant.namespace != namespace:
                continue
            for rule in self._rules.get(grant.role, ()):
                tree: dict[str, list[str]] = msgspec.to_builtins(rule.source)
                (paths if rule.paths else resources).append({k: v for k, v in tree.items() if v})
        return resources, paths, False

    def _granted(self, user: UserInfo) -> Iterator[Grant]:
        subjects: list[Subject] = [("User", "", user.name), *(("Group", "", g) for g in user.groups)]
        parts = user.name.split(":")
        if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
            subjects.append(("ServiceAccount", parts[2], parts[3]))
        for subject in subjects:
            yield from self._grants.get(subject, ())

    def _cluster_role(self, _namespace: str, name: str) -> None:
        role = self._reader.get(rbac_v1.ClusterRole, name)
        self._labels.pop(name, None)
        self._aggregated.pop(name, None)
        self._rules.pop(("", name), None)
        if role is not None:
            self._labels[name] = role.metadata.labels
            self._rules["", name] = [CompiledRule(rule) for rule in role.rules]
            if role.aggregationRule is not None:
                self._aggregated[name] = [from_label_selector(s) for s in role.aggregationRule.clusterRoleSelectors]
        self._aggregate()

    def _aggregate(self) -> None:
        """Twice, because an aggregated role may be part of another (edit is part of admin)."""
        for _ in range(3):
            for name, selectors in self._aggregated.items():
                parts = [n for n, labels in self._labels.items() if n != name and any(s.matches(labels) for s in selectors)]
                self._rules["", name] = [rule for part in sorted(parts) for rule in self._rules.get(("", part), ())]

    def _role(self, namespace: str, name: str) -> None:
        role = self._reader.get(rbac_v1.Role, name, namespace)
        self._rules.pop((namespace, name), None)
        if role is not None:
            self._rules[namespace, name] = [CompiledRule(rule) for rule in role.rules]

    def _cluster_binding(self, _namespace: str, name: str) -> None:
        self._bind("ClusterRoleBinding", "", name, self._reader.get(rbac_v1.ClusterRoleBinding, name))

    def _binding(self, namespace: str, name: str) -> None:
        self._bind("RoleBinding", namespace, name, self._reader.get(rbac_v1.RoleBinding, name, namespace))

    def _bind(self, kind: str, namespace: str, name: str, binding: Any) -> None:
        key = (kind, namespace, name)
        subjects, grant = self._bindings.pop(key, ([], None))
        for subject in subjects:
            if grant is not None and not self._granted_otherwise(subject, grant):
                self._grants.get(subject, set()).discard(grant)
        if binding is None:
            return
        role = (namespace if binding.roleRef.kind == "Role" else "", binding.roleRef.name)
        grant = Grant(role, namespace)
        subjects = [(s.kind, (s.namespace or namespace) if s.kind == "ServiceAccount" else "", s.name) for s in binding.subjects]
        self._bindings[key] = (subjects, grant)
        for subject in subjects:
            self._grants.setdefault(subject, set()).add(grant)

    def _granted_otherwise(self, subject: Subject, grant: Grant) -> bool:
        return any(g == grant and subject in subjects for subjects, g in self._bindings.values())
