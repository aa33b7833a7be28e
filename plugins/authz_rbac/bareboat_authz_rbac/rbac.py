"""RBAC over an index: subject → bindings → compiled rules. A change of a role or binding acts on the next request.

What comes in: roles and bindings through the Reader's subscription. What goes out: decisions. Aggregated ClusterRoles are
the union of the roles that their selectors match, worked out when one of them changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from bareboat.contracts.auth import Attributes, Authorizer, Decision, Reader, Rules, UserInfo
from bareboat.models import rbac_v1
from bareboat.models.selectors import from_label_selector
from bareboat_authz_rbac.rules import CompiledRule

Subject = tuple[str, str, str]
RoleKey = tuple[str, str]
_NOT = Decision("NoOpinion")


class Grant(msgspec.Struct, frozen=True):
    """What a binding gives: a role, in a namespace ("" = everywhere)."""

    role: RoleKey
    namespace: str


_NOBODY: dict[Grant, Decision] = {}


class Index:
    """Roles and bindings as they are now. One per reader (``index_of``): authorizer and escalation checks share it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rules: dict[RoleKey, list[CompiledRule]] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._aggregated: dict[str, list[Any]] = {}
        self._grants: dict[Subject, dict[Grant, Decision]] = {}
        self._bindings: dict[tuple[str, str, str], tuple[list[Subject], Grant]] = {}
        self._holders: dict[tuple[Subject, Grant], dict[tuple[str, str, str], None]] = {}
        #: how often a role or binding has changed
        self.changes = 0
        reader.subscribe(rbac_v1.ClusterRole, self._cluster_role)
        reader.subscribe(rbac_v1.Role, self._role)
        reader.subscribe(rbac_v1.ClusterRoleBinding, self._cluster_binding)
        reader.subscribe(rbac_v1.RoleBinding, self._binding)

    def decide(self, asked: Attributes) -> Decision:
        namespace, rules = asked.namespace, self._rules
        for subject in subjects_of(asked.user):
            for grant, decision in self._grants.get(subject, _NOBODY).items():
                if grant.namespace and grant.namespace != namespace:
                    continue
                for rule in rules.get(grant.role, ()):
                    if rule.allows(asked):
                        return decision
        return _NOT

    def rules_of(self, user: UserInfo, namespace: str) -> Iterator[CompiledRule]:
        """What the user may do there ("" = at the cluster scope)."""
        for subject in subjects_of(user):
            for grant in self._grants.get(subject, _NOBODY):
                if not grant.namespace or grant.namespace == namespace:
                    yield from self._rules.get(grant.role, ())

    def role(self, key: RoleKey) -> list[CompiledRule] | None:
        """None if there is no such role."""
        return self._rules.get(key)

    def _cluster_role(self, _namespace: str, name: str) -> None:
        self.changes += 1
        role = self._reader.get(rbac_v1.ClusterRole, name)
        before = self._labels.pop(name, None)
        concerned = self._aggregated.pop(name, None) is not None or self._chosen(before)
        self._rules.pop(("", name), None)
        if role is not None:
            self._labels[name] = role.metadata.labels
            self._rules["", name] = [CompiledRule(rule) for rule in role.rules]
            if role.aggregationRule is not None:
                self._aggregated[name] = [from_label_selector(s) for s in role.aggregationRule.clusterRoleSelectors]
                concerned = True
            concerned = concerned or self._chosen(role.metadata.labels)
        if concerned:
            self._aggregate()

    def _chosen(self, labels: dict[str, str] | None) -> bool:
        """Whether a role of these labels is part of others."""
        return labels is not None and any(s.matches(labels) for selectors in self._aggregated.values() for s in selectors)

    def _aggregate(self) -> None:
        """Until nothing changes, because an aggregated role may be part of another (edit is part of admin)."""
        parts = {
            name: [n for n, labels in sorted(self._labels.items()) if n != name and any(s.matches(labels) for s in selectors)]
            for name, selectors in self._aggregated.items()
        }
        for name in parts:
            self._rules["", name] = []
        changed = True
        while changed:
            changed = False
            for name, others in parts.items():
                found = list(dict.fromkeys(rule for part in others for rule in self._rules.get(("", part), ())))
                if len(found) != len(self._rules["", name]):
                    self._rules["", name], changed = found, True

    def _role(self, namespace: str, name: str) -> None:
        self.changes += 1
        role = self._reader.get(rbac_v1.Role, name, namespace)
        self._rules.pop((namespace, name), None)
        if role is not None:
            self._rules[namespace, name] = [CompiledRule(rule) for rule in role.rules]

    def _cluster_binding(self, _namespace: str, name: str) -> None:
        self._bind("ClusterRoleBinding", "", name, self._reader.get(rbac_v1.ClusterRoleBinding, name))

    def _binding(self, namespace: str, name: str) -> None:
        self._bind("RoleBinding", namespace, name, self._reader.get(rbac_v1.RoleBinding, name, namespace))

    def _bind(self, kind: str, namespace: str, name: str, binding: Any) -> None:
        self.changes += 1
        key = (kind, namespace, name)
        subjects, grant = self._bindings.pop(key, ([], None))
        for subject in subjects:
            assert grant is not None
            self._withdraw(key, subject, grant)
        if binding is None:
            return
        grant = Grant((namespace if binding.roleRef.kind == "Role" else "", binding.roleRef.name), namespace)
        found = ((s.kind, (s.namespace or namespace) if s.kind == "ServiceAccount" else "", s.name) for s in binding.subjects)
        subjects = list(dict.fromkeys(found))
        self._bindings[key] = (subjects, grant)
        for subject in subjects:
            self._holders.setdefault((subject, grant), {})[key] = None
            reason = _reason(key, binding.roleRef, subject)
            self._grants.setdefault(subject, {}).setdefault(grant, Decision("Allow", reason))

    def _withdraw(self, key: tuple[str, str, str], subject: Subject, grant: Grant) -> None:
        """The grant stays while another binding gives the same."""
        holders = self._holders[subject, grant]
        holders.pop(key)
        if holders:
            return
        del self._holders[subject, grant]
        grants = self._grants[subject]
        del grants[grant]
        if not grants:
            del self._grants[subject]


def subjects_of(user: UserInfo) -> Iterable[Subject]:
    yield "User", "", user.name
    for group in user.groups:
        yield "Group", "", group
    if user.name.startswith("system:serviceaccount:"):
        parts = user.name.split(":")
        if len(parts) == 4:
            yield "ServiceAccount", parts[2], parts[3]


def _reason(key: tuple[str, str, str], reference: Any, subject: Subject) -> str:
    kind, namespace, name = key
    binding = f"{name}/{namespace}" if namespace else name
    kind_of, space, who = subject
    shown = f'"{who}/{space}"' if kind_of == "ServiceAccount" else f'"{who}"'
    return f'RBAC: allowed by {kind} "{binding}" of {reference.kind} "{reference.name}" to {kind_of} {shown}'


_INDEXES: WeakKeyDictionary[Any, Index] = WeakKeyDictionary()


def index_of(reader: Reader) -> Index:
    found = _INDEXES.get(reader)
    if found is None:
        found = _INDEXES[reader] = Index(reader)
    return found


class RbacAuthorizer(Authorizer):
    """See contracts.auth.Authorizer."""

    name = "rbac"

    def __init__(self, reader: Reader) -> None:
        self._index = index_of(reader)

    async def authorize(self, attributes: Attributes) -> Decision:
        return self._index.decide(attributes)

    def stamp(self, user: UserInfo) -> object:
        del user
        return self._index.changes

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        resources: list[dict[str, list[str]]] = []
        paths: list[dict[str, list[str]]] = []
        for rule in self._index.rules_of(user, namespace):
            tree: dict[str, list[str]] = msgspec.to_builtins(rule.source)
            (paths if rule.paths else resources).append({k: v for k, v in tree.items() if v})
        return resources, paths, False
