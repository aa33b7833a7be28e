"""Whether a job is to end now, and why: the interim condition (FailureTarget or SuccessCriteriaMet) and the final one that follows it."""

from __future__ import annotations

from typing import Any

from bareboat.base.clock import Clock
from bareboat.controllers.job.outcome import is_failed
from bareboat.controllers.job.picture import Picture
from bareboat.controllers.job.policies import judge, success_rule
from bareboat.models import batch_v1
from bareboat.models.meta import is_condition_true
from bareboat.models.times import parse

_INTERIM = ("FailureTarget", "SuccessCriteriaMet")


def is_finished(job: batch_v1.Job) -> bool:
    return is_condition_true(job.status.conditions, "Complete") or is_condition_true(job.status.conditions, "Failed")


def condition(kind: str, reason: str, message: str, now: str, status: str = "True") -> batch_v1.JobCondition:
    return batch_v1.JobCondition(type=kind, status=status, reason=reason, message=message, lastProbeTime=now, lastTransitionTime=now)


def final(interim: batch_v1.JobCondition, now: str) -> batch_v1.JobCondition:
    return condition("Failed" if interim.type == "FailureTarget" else "Complete", interim.reason, interim.message, now)


def success(now: str) -> batch_v1.JobCondition:
    return condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods", now)


def ending(picture: Picture, clock: Clock) -> batch_v1.JobCondition | None:
    """What was decided before stands; else the first reason there is."""
    known: batch_v1.JobCondition
    for known in picture.job.status.conditions:
        if known.type in _INTERIM and known.status == "True":
            return known
    reason, message = _failure(picture, clock)
    if reason:
        return condition("FailureTarget", reason, message, clock.timestamp())
    spec = picture.job.spec
    if picture.indexed and (why := success_rule(spec.successPolicy, spec.completions or 0, picture.done)):
        return condition("SuccessCriteriaMet", "SuccessPolicy", why, clock.timestamp())
    return None


def _failure(picture: Picture, clock: Clock) -> tuple[str, str]:
    spec = picture.job.spec
    if message := _failed_by_policy(picture):
        return "PodFailurePolicy", message
    if picture.failed > spec.backoffLimit or _restarted_too_often(picture):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if _past_deadline(picture.job, clock):
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    failed = picture.failed_indexes
    if failed and spec.maxFailedIndexes is not None and len(failed) > spec.maxFailedIndexes:
        return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
    if failed and len(failed) + len(picture.done) >= (spec.completions or 0):
        return "FailedIndexes", "Job has failed indexes"
    return "", ""


def _failed_by_policy(picture: Picture) -> str:
    policy = picture.job.spec.podFailurePolicy
    if policy is None:
        return ""
    return next((v.message for p in picture.pods if is_failed(p, picture.job) and (v := judge(policy, p)).message), "")


def _restarted_too_often(picture: Picture) -> bool:
    """Where containers restart in place, their restarts are the failures."""
    spec = picture.job.spec
    if spec.template.spec.restartPolicy != "OnFailure":
        return False
    living = [p for p in picture.pods if p.status.phase in ("Running", "Pending")]
    restarts = sum(s.restartCount for p in living for s in [*p.status.initContainerStatuses, *p.status.containerStatuses])
    return restarts > 0 if spec.backoffLimit == 0 else restarts >= (spec.backoffLimit or 0)


def _past_deadline(job: Any, clock: Clock) -> bool:
    if job.spec.activeDeadlineSeconds is None or job.status.startTime is None or job.spec.suspend:
        return False
    return bool((clock.now() - parse(job.status.startTime)).total_seconds() >= job.spec.activeDeadlineSeconds)
