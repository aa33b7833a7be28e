"""Policy rules, compiled for quick matching; and which of them others leave uncovered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
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


class Part:
    """One verb on one resource (of one name) or path: the smallest piece of a rule."""

    __slots__ = ("group", "name", "path", "resource", "verb")

    def __init__(self, verb: str, group: str = "", resource: str = "", name: str = "", path: str = "") -> None:
        self.verb, self.group, self.resource, self.name, self.path = verb, group, resource, name, path

    def covered_by(self, rule: CompiledRule) -> bool:
        if self.verb not in rule.verbs and "*" not in rule.verbs:
            return False
        if self.path:
            return self.path in rule.paths or any(self.path.startswith(p) for p in rule.prefixes)
        if not rule.resources or (self.group not in rule.groups and "*" not in rule.groups):
            return False
        if rule.names and self.name not in rule.names:
            return False
        return self._resource_in(rule.resources)

    def _resource_in(self, resources: frozenset[str]) -> bool:
        if "*" in resources or self.resource in resources:
            return True
        _, slash, subresource = self.resource.partition("/")
        return bool(slash) and f"*/{subresource}" in resources

    def __str__(self) -> str:
        if self.path:
            return f'{{NonResourceURLs:["{self.path}"], Verbs:["{self.verb}"]}}'
        name = f', ResourceNames:["{self.name}"]' if self.name else ""
        return f'{{APIGroups:["{self.group}"], Resources:["{self.resource}"]{name}, Verbs:["{self.verb}"]}}'


def parts_of(rule: Any) -> Iterator[Part]:
    for verb, path in product(rule.verbs, rule.nonResourceURLs):
        yield Part(verb, path=path)
    for verb, group, resource, name in product(rule.verbs, rule.apiGroups, rule.resources, rule.resourceNames or [""]):
        yield Part(verb, group, resource, name)


def uncovered(wanted: Iterable[Any], held: Iterable[CompiledRule]) -> list[str]:
    """The parts of the wanted PolicyRules that no held rule covers, as people read them."""
    rules = list(held)
    return [str(part) for rule in wanted for part in parts_of(rule) if not any(part.covered_by(own) for own in rules)]
