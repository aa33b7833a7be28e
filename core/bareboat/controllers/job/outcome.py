"""What the end of a pod means to its job: failed or not, which index, when it ended. Pure functions over pods."""

from __future__ import annotations

from typing import Any

from bareboat.models import core_v1
from bareboat.models.meta import get_condition
from bareboat.models.times import parse

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


def is_indexed(job: Any) -> bool:
    return bool(job.spec.completionMode == "Indexed")


def replaces_only_failed(job: Any) -> bool:
    """Whether a pod on its way out still counts as running."""
    return job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None


def is_tracked(pod: core_v1.Pod) -> bool:
    """Whether its end has still to be counted."""
    return TRACKING in pod.metadata.finalizers


def is_failed(pod: core_v1.Pod, job: Any) -> bool:
    if pod.status.phase == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return pod.metadata.deletionTimestamp is not None and pod.status.phase != "Succeeded"


def index_of(pod: core_v1.Pod) -> int | None:
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else None


def failures_of(pod: core_v1.Pod) -> int:
    """How often its index had failed, and counted, before this pod."""
    return _number(pod, FAILURES)


def all_failures_of(pod: core_v1.Pod) -> int:
    return _number(pod, FAILURES) + _number(pod, IGNORED_FAILURES)


def ignored_failures_of(pod: core_v1.Pod) -> int:
    return _number(pod, IGNORED_FAILURES)


def _number(pod: core_v1.Pod, annotation: str) -> int:
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isdigit() else 0


def ended_at(pod: core_v1.Pod, now: float) -> float:
    """When its last container ended; else when it became unready, was deleted, or now."""
    ends = [s.state.terminated.finishedAt for s in pod.status.containerStatuses if s.state.terminated is not None]
    if ends and all(ends) and len(ends) == len(pod.status.containerStatuses):
        return max(parse(e).timestamp() for e in ends)
    ready = get_condition(pod.status.conditions, "Ready")
    if ready is not None and ready.status == "False" and ready.lastTransitionTime:
        return parse(ready.lastTransitionTime).timestamp()
    if pod.metadata.deletionTimestamp:
        return parse(pod.metadata.deletionTimestamp).timestamp() - (pod.metadata.deletionGracePeriodSeconds or 0)
    return now
