"""The audit policy: a file of rules, the first of which that fits a request says how much of it is recorded.

In: YAML of kind Policy (audit.k8s.io/v1). Out: per request a ``Verdict``. A file that is wrong is refused as a whole, with the
rule and the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from bareboat.api.request import RequestInfo
from bareboat.contracts.auth import UserInfo

Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
#: By how much they record.
ORDER: Final[dict[str, int]] = {level: i for i, level in enumerate(get_args(Level))}


class PolicyError(Exception):
    """The file cannot be used; the text says why."""


class GroupResources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    group: str = ""
    resources: list[str] = []
    resourceNames: list[str] = []


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is empty does not matter; what is not has to fit."""

    level: Level
    users: list[str] = []
    userGroups: list[str] = []
    verbs: list[str] = []
    resources: list[GroupResources] = []
    namespaces: list[str] = []
    nonResourceURLs: list[str] = []
    omitStages: list[Stage] = []
    omitManagedFields: bool | None = None

    def fits(self, user: UserInfo, info: RequestInfo) -> bool:
        if self.users and user.name not in self.users:
            return False
        if self.userGroups and not set(self.userGroups).intersection(user.groups):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._fits_resource(info)
        return not self.nonResourceURLs or (not info.resource and any(_url(url, info.path) for url in self.nonResourceURLs))

    def _fits_resource(self, info: RequestInfo) -> bool:
        if not info.resource or (self.namespaces and info.namespace not in self.namespaces):
            return False
        return not self.resources or any(_among(group, info) for group in self.resources)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["Policy"]
    apiVersion: Literal["audit.k8s.io/v1"]
    rules: list[Rule] = []
    metadata: dict[str, Any] = {}
    omitStages: list[Stage] = []
    omitManagedFields: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """``level`` "None": nothing is recorded."""

    level: Level
    omit: frozenset[str] = frozenset()
    omit_managed: bool = False


NOTHING: Final = Verdict("None")


def _among(group: GroupResources, info: RequestInfo) -> bool:
    if group.group != info.group or (group.resourceNames and info.name not in group.resourceNames):
        return False
    whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    fitting = {whole, "*", f"{info.resource}/*"} | ({f"*/{info.subresource}"} if info.subresource else set())
    return not group.resources or not fitting.isdisjoint(group.resources)


def _url(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class Judge:
    """Of one policy; answers are kept, as most requests are like another."""

    KEPT = 10_000
    LONGEST = 500

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._by_name = any(group.resourceNames for rule in policy.rules for group in rule.resources)
        self._known: dict[tuple[object, ...], Verdict] = {}

    def verdict(self, user: UserInfo, info: RequestInfo) -> Verdict:
        last = info.path if not info.resource else info.name if self._by_name else ""
        key = (user.name, user.groups, info.verb, info.group, info.resource, info.subresource, info.namespace, last)
        found = self._known.get(key)
        if found is None:
            found = self._judge(user, info)
            if len(info.path) <= self.LONGEST:  # of a stranger's invention nothing is kept
                if len(self._known) >= self.KEPT:
                    self._known.clear()
                self._known[key] = found
        return found

    def _judge(self, user: UserInfo, info: RequestInfo) -> Verdict:
        for rule in self._policy.rules:
            if rule.fits(user, info):
                managed = self._policy.omitManagedFields if rule.omitManagedFields is None else rule.omitManagedFields
                return Verdict(rule.level, frozenset((*self._policy.omitStages, *rule.omitStages)), managed)
        return NOTHING


def load(path: Path) -> Judge:
    """Raises PolicyError."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from error


def parse(data: bytes, source: str = "policy") -> Judge:
    """Raises PolicyError."""
    import yaml

    try:
        policy = msgspec.convert(yaml.safe_load(data), Policy)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, msgspec.ValidationError) as error:
        raise PolicyError(f"{source}: {error}") from error
    if not policy.rules:
        raise PolicyError(f"{source}: there are no rules: nothing would be recorded")
    for i, rule in enumerate(policy.rules):
        fault = _fault(rule)
        if fault:
            raise PolicyError(f"{source}: rules[{i}]: {fault}")
    return Judge(policy)


def _fault(rule: Rule) -> str:
    """What upstream's validation says of it."""
    if rule.nonResourceURLs and (rule.resources or rule.namespaces):
        return "rules cannot apply to both regular resources and non-resource URLs"
    for url in rule.nonResourceURLs:
        if url != "*" and not url.startswith("/"):
            return f'nonResourceURLs: "{url}": non-resource URL rules must begin with a "/" character'
        if "*" in url[:-1]:
            return f"nonResourceURLs: \"{url}\": non-resource URL wildcards '*' must be the final character of the rule"
    for group in rule.resources:
        if "/" in group.group:
            return f'resources.group: "{group.group}": the API version is not part of the group'
        if group.resourceNames and not group.resources:
            return "resources.resourceNames: using resourceNames requires at least one resource"
    return ""
