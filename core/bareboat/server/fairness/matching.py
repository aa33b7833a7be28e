"""Which FlowSchema a request belongs to, and which flow of it.

In: FlowSchema objects; then, per kind of request, a user and a RequestInfo. Out: the first schema, by precedence and then by
name, with a rule whose subjects and whose resource or path rules match. Compiled once per object; answers are kept by the gate.
"""

from __future__ import annotations

from typing import Any

from bareboat.api.request import RequestInfo
from bareboat.contracts.auth import UserInfo
from bareboat.models import flowcontrol_v1 as v1

_ACCOUNT = "system:serviceaccount:"


class Schema:
    """One FlowSchema. ``by`` is "", "ByUser" or "ByNamespace"."""

    __slots__ = ("_rules", "by", "dispatched", "level", "name", "precedence", "uid")

    def __init__(self, obj: v1.FlowSchema) -> None:
        spec = obj.spec
        self.name = obj.metadata.name
        self.uid = obj.metadata.uid
        self.precedence = spec.matchingPrecedence
        self.level = spec.priorityLevelConfiguration.name
        self.by = spec.distinguisherMethod.type if spec.distinguisherMethod is not None else ""
        self._rules = [_Rule(rule) for rule in spec.rules]
        self.dispatched = 0

    def matches(self, user: UserInfo, info: RequestInfo) -> bool:
        return any(rule.matches(user, info) for rule in self._rules)

    def distinguisher(self, user: UserInfo, info: RequestInfo) -> str:
        if self.by == "ByUser":
            return user.name
        return info.namespace if self.by == "ByNamespace" else ""


class _Rule:
    __slots__ = ("_groups", "_paths", "_prefixes", "_resources", "_users")

    def __init__(self, rule: Any) -> None:
        self._users = {s.user.name for s in rule.subjects if s.user is not None}
        self._groups = {s.group.name for s in rule.subjects if s.group is not None}
        accounts = [s.serviceAccount for s in rule.subjects if s.serviceAccount is not None]
        self._users |= {f"{_ACCOUNT}{a.namespace}:{a.name}" for a in accounts if a.name != "*"}
        self._prefixes = tuple(f"{_ACCOUNT}{a.namespace}:" for a in accounts if a.name == "*")
        self._resources = [_ResourceRule(r) for r in rule.resourceRules]
        self._paths = [(set(r.verbs), set(r.nonResourceURLs)) for r in rule.nonResourceRules]

    def matches(self, user: UserInfo, info: RequestInfo) -> bool:
        if not self._about(user):
            return False
        if info.resource:
            return any(rule.matches(info) for rule in self._resources)
        return any(_has(verbs, info.verb) and _has_path(paths, info.path) for verbs, paths in self._paths)

    def _about(self, user: UserInfo) -> bool:
        if _has(self._users, user.name) or "*" in self._groups:
            return True
        return not self._groups.isdisjoint(user.groups) or (bool(self._prefixes) and user.name.startswith(self._prefixes))


class _ResourceRule:
    __slots__ = ("_cluster", "_groups", "_namespaces", "_resources", "_verbs")

    def __init__(self, rule: Any) -> None:
        self._verbs, self._groups = set(rule.verbs), set(rule.apiGroups)
        self._resources, self._namespaces = set(rule.resources), set(rule.namespaces)
        self._cluster = bool(rule.clusterScope)

    def matches(self, info: RequestInfo) -> bool:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        if not (_has(self._verbs, info.verb) and _has(self._groups, info.group) and _has(self._resources, resource)):
            return False
        return _has(self._namespaces, info.namespace) if info.namespace else self._cluster


def _has(values: set[str], value: str) -> bool:
    return value in values or "*" in values


def _has_path(paths: set[str], path: str) -> bool:
    return _has(paths, path) or any(p.endswith("*") and path.startswith(p[:-1]) for p in paths)
