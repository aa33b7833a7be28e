"""The spec of a job, of its own or in a CronJob: counts, indexes, failure and success policies, the template."""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.kinds.causes import choice, duplicate, each, invalid, non_negative, one_of, required, too_long, too_many, unsupported
from bareboat.api.kinds.core.pod_spec import validate_template
from bareboat.models.names import dns1123_subdomain, http_path, qualified_name
from bareboat.models.status import Cause

_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_INDEXED_LIMIT = 100_000
_INDEXES_LIMIT = 64 * 1024
_MANY = 20
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def validate_job_spec(spec: Any, at: str) -> list[Cause]:
    """Without its selector."""
    causes = [cause for name in (*_COUNTS, "backoffLimitPerIndex") for cause in non_negative(f"{at}.{name}", getattr(spec, name))]
    if spec.maxFailedIndexes is not None:
        causes += non_negative(f"{at}.maxFailedIndexes", spec.maxFailedIndexes)
        if spec.backoffLimitPerIndex is None:
            causes.append(required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if spec.managedBy is not None:
        causes += domain_path(f"{at}.managedBy", spec.managedBy)
        causes += [too_long(f"{at}.managedBy", 63)] if len(spec.managedBy) > 63 else []
    causes += _completion(spec, at)
    if spec.podFailurePolicy is not None:
        causes += _failure_policy(spec, f"{at}.podFailurePolicy")
    if spec.successPolicy is not None:
        causes += _success_policy(spec, f"{at}.successPolicy")
    causes += _replacement(spec, f"{at}.podReplacementPolicy")
    return causes + validate_template(spec.template, f"{at}.template") + _restarts(spec, f"{at}.template.spec.restartPolicy")


def domain_path(field: str, value: str) -> list[Cause]:
    """A domain, a slash and a path."""
    if not value:
        return [required(field)]
    domain, slash, path = value.partition("/")
    if not slash or not domain or not path:
        return [invalid(field, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    causes = each(field, domain, dns1123_subdomain(domain))
    return causes + each(field, path, http_path(path))


def _completion(spec: Any, at: str) -> list[Cause]:
    mode = spec.completionMode
    causes: list[Cause] = []
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        causes.append(unsupported(f"{at}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        return causes + _indexed(spec, at)
    if mode == "NonIndexed":
        held = [name for name in ("backoffLimitPerIndex", "maxFailedIndexes") if getattr(spec, name) is not None]
        causes += [invalid(f"{at}.{name}", getattr(spec, name), "requires indexed completion mode") for name in held]
    return causes


def _indexed(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    parallelism, completions, failed = spec.parallelism, spec.completions, spec.maxFailedIndexes
    if completions is None:
        causes.append(required(f"{at}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _INDEXED_LIMIT:
        message = f"must be less than or equal to {_INDEXED_LIMIT} when completion mode is Indexed"
        causes.append(invalid(f"{at}.parallelism", parallelism, message))
    if failed is not None and completions is not None and failed > completions:
        causes.append(invalid(f"{at}.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > _INDEXED_LIMIT:
        causes.append(invalid(f"{at}.maxFailedIndexes", failed, f"must be less than or equal to {_INDEXED_LIMIT}"))
    if completions is not None and completions > _INDEXED_LIMIT and spec.backoffLimitPerIndex is not None:
        because = "must be specified when completions is above 100000"
        causes += [required(f"{at}.{n}", because) for n in ("maxFailedIndexes", "parallelism") if getattr(spec, n) is None]
    return causes


def _failure_policy(spec: Any, at: str) -> list[Cause]:
    rules = spec.podFailurePolicy.rules
    causes = [too_many(f"{at}.rules", len(rules), _MANY)] if len(rules) > _MANY else []
    containers = {c.name for c in [*spec.template.spec.containers, *spec.template.spec.initContainers]}
    for i, rule in enumerate(rules):
        causes += _failure_rule(rule, f"{at}.rules[{i}]", containers, indexed=spec.backoffLimitPerIndex is not None)
    return causes


def _failure_rule(rule: Any, at: str, containers: set[str], *, indexed: bool) -> list[Cause]:
    causes: list[Cause] = []
    if not rule.action:
        causes.append(required(f"{at}.action", 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'))
    elif rule.action == "FailIndex" and not indexed:
        causes.append(invalid(f"{at}.action", rule.action, "requires the backoffLimitPerIndex to be set"))
    elif rule.action not in _ACTIONS:
        causes.append(unsupported(f"{at}.action", rule.action, _ACTIONS))
    if rule.onExitCodes is not None:
        causes += _exit_codes(rule.onExitCodes, f"{at}.onExitCodes", containers)
    if rule.onPodConditions:
        causes += _conditions(rule.onPodConditions, f"{at}.onPodConditions")
    if rule.onExitCodes is not None and rule.onPodConditions:
        message = "specifying both OnExitCodes and OnPodConditions is not supported"
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {message}", at))
    elif rule.onExitCodes is None and not rule.onPodConditions:
        message = "specifying one of OnExitCodes and OnPodConditions is required"
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {message}", at))
    return causes


def _exit_codes(rule: Any, at: str, containers: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    if not rule.operator:
        causes.append(required(f"{at}.operator", 'valid values: ["In" "NotIn"]'))
    else:
        causes += one_of(f"{at}.operator", rule.operator, ("In", "NotIn"))
    if rule.containerName is not None and rule.containerName not in containers:
        message = "must be one of the container or initContainer names in the pod template"
        causes.append(invalid(f"{at}.containerName", rule.containerName, message))
    values = rule.values
    if not values:
        return [*causes, invalid(f"{at}.values", None, "at least one value is required")]
    if len(values) > 255:
        return [*causes, too_many(f"{at}.values", len(values), 255)]
    seen: set[int] = set()
    for i, value in enumerate(values):
        if rule.operator == "In" and value == 0:
            causes.append(invalid(f"{at}.values[{i}]", value, "must not be 0 for the In operator"))
        if value in seen:
            causes.append(duplicate(f"{at}.values[{i}]", value))
        seen.add(value)
    return causes + ([] if values == sorted(values) else [invalid(f"{at}.values", values, "must be ordered")])


def _conditions(patterns: list[Any], at: str) -> list[Cause]:
    causes = [too_many(at, len(patterns), _MANY)] if len(patterns) > _MANY else []
    for i, pattern in enumerate(patterns):
        causes += each(f"{at}[{i}].type", pattern.type, qualified_name(pattern.type))
        causes += choice(f"{at}[{i}].status", pattern.status, ("False", "True", "Unknown"), 'valid values: ["False" "True" "Unknown"]')
    return causes


def _success_policy(spec: Any, at: str) -> list[Cause]:
    if spec.completionMode != "Indexed":
        return [invalid(at, spec.successPolicy, "requires indexed completion mode")]
    rules = spec.successPolicy.rules
    if not rules:
        return [required(f"{at}.rules", "at least one rules must be specified when successPolicy is specified")]
    if len(rules) > _MANY:
        return [too_many(f"{at}.rules", len(rules), _MANY)]
    return [cause for i, rule in enumerate(rules) for cause in _success_rule(rule, f"{at}.rules[{i}]", spec.completions)]


def _success_rule(rule: Any, at: str, completions: int | None) -> list[Cause]:
    indexes, count = rule.succeededIndexes, rule.succeededCount
    if indexes is None and count is None:
        return [required(at, "at least one of succeededCount or succeededIndexes must be specified")]
    causes: list[Cause] = []
    total = completions
    if indexes is not None and len(indexes) > _INDEXES_LIMIT:
        causes.append(too_long(f"{at}.succeededIndexes", _INDEXES_LIMIT))
    elif indexes is not None:
        fault, total = _indexes(indexes, completions)
        causes += [invalid(f"{at}.succeededIndexes", indexes, fault)] if fault else []
    if count is not None:
        causes += non_negative(f"{at}.succeededCount", count)
        if completions is not None and count > completions:
            message = f"must be less than or equal to {completions} (the number of specified completions)"
            causes.append(invalid(f"{at}.succeededCount", count, message))
        elif total is not None and indexes is not None and count > total:
            message = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            causes.append(invalid(f"{at}.succeededCount", count, message))
    return causes


def _indexes(text: str, completions: int | None) -> tuple[str, int | None]:
    """What is wrong with a list of ranges, or how many indexes it has."""
    total, before = 0, -1
    for part in text.split(",") if text else ():
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part, re.ASCII)
        if found is None:
            return "error parsing succeededIndexes: cannot convert string to integer for index: " + f'"{part}"', None
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= before or last < first or (found[2] and last == first):
            return "error parsing succeededIndexes: non-increasing order, previous: " + f"{before}, current: {first}", None
        if completions is not None and last >= completions:
            return f'error parsing succeededIndexes: too large index: "{last}"', None
        total, before = total + last - first + 1, last
    return "", total


def _replacement(spec: Any, field: str) -> list[Cause]:
    policy = spec.podReplacementPolicy
    if policy is None:
        return []
    return one_of(field, policy, ("Failed",) if spec.podFailurePolicy is not None else ("Failed", "TerminatingOrFailed"))


def _restarts(spec: Any, field: str) -> list[Cause]:
    policy = spec.template.spec.restartPolicy
    causes: list[Cause] = []
    if policy in ("", "Always"):
        causes.append(required(field, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        causes.append(unsupported(field, policy, ("OnFailure", "Never")))
    if spec.podFailurePolicy is not None and policy == "OnFailure":
        causes.append(invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return causes
