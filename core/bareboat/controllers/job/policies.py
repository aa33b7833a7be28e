"""The policies of a job: what a failed pod means by its exit codes or conditions, and which indexes are enough for success."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bareboat.controllers.job import indexes
from bareboat.models import batch_v1, core_v1


class Verdict(NamedTuple):
    """``action`` of the rule that matched ("" = none did), whether the failure counts, why the job is to fail ("" = it is not)."""

    action: str
    counts: bool
    message: str = ""


def judge(policy: batch_v1.PodFailurePolicy | None, pod: core_v1.Pod) -> Verdict:
    """By the first rule that matches."""
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        found = _match(rule, pod)
        if found is None:
            continue
        message = f"{found} matching {rule.action} rule at index {number}" if rule.action == "FailJob" else ""
        return Verdict(rule.action, rule.action != "Ignore", message)
    return Verdict("", True)


def _match(rule: batch_v1.PodFailurePolicyRule, pod: core_v1.Pod) -> str | None:
    """What of the pod matched, in words."""
    where = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if rule.onExitCodes is not None:
        for status in [*pod.status.containerStatuses, *pod.status.initContainerStatuses]:
            ended = status.state.terminated
            if ended is not None and _exit_matches(rule.onExitCodes, status.name, ended.exitCode):
                return f"Container {status.name} for pod {where} failed with exit code {ended.exitCode}"
        return None
    for condition in pod.status.conditions:
        if any(p.type == condition.type and (p.status or "True") == condition.status for p in rule.onPodConditions):
            return f"Pod {where} has condition {condition.type}"
    return None


def _exit_matches(requirement: batch_v1.PodFailurePolicyOnExitCodesRequirement, container: str, code: int) -> bool:
    if code == 0 or requirement.containerName not in (None, container):
        return False
    return (code in requirement.values) == (requirement.operator == "In")


def success_rule(policy: batch_v1.SuccessPolicy | None, completions: int, succeeded: Iterable[int]) -> str:
    """Why the job is a success by its policy; "" while it is not."""
    done = set(succeeded)
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        if rule.succeededIndexes is not None:
            wanted = indexes.parse(rule.succeededIndexes, completions)
            least = len(wanted) if rule.succeededCount is None else rule.succeededCount
            met = len(wanted & done) >= least
        else:
            met = rule.succeededCount is not None and len(done) >= rule.succeededCount
        if met:
            return f"Matched rules at index {number}"
    return ""
