"""Policy rules, compiled for quick matching. Pure."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import Attributes


class CompiledRule:
    """One PolicyRule as sets."""

    __slots__ = ("groups", "names", "paths", "prefixes", "resources", "source", "verbs")

    def __init__(self, rule: Any) -> None:
        self.verbs = frozenset(rule.verbs)
        self.groups = frozenset(rule.apiGroups)
        self.resources = frozenset(rule.resources)
        self.names = frozenset(rule.resourceNames)
        self.paths = frozenset(rule.nonResourceURLs)
        self.prefixes = tuple(p[:-1] for p in rule.nonResourceURLs if p.endswith("*"))
        self.source = rule

    def allows(self, asked: Attributes) -> bool:
        if asked.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not asked.resource:
            return asked.path in self.paths or any(asked.path.startswith(p) for p in self.prefixes)
        if asked.group not in self.groups and "*" not in self.groups:
            return False
        if self.names and asked.name not in self.names:
            return False
        return self._covers(asked.resource, asked.subresource)

    def _covers(self, resource: str, subresource: str) -> bool:
        if "*" in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources
