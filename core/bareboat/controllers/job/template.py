"""The pods of a job, not created yet: finalizer, and for an Indexed job the index as annotation, label, hostname, variable and name."""

from __future__ import annotations

from typing import Any

from bareboat.controllers.job.outcome import FAILURES, IGNORED_FAILURES, INDEX, TRACKING, failures_of, ignored_failures_of
from bareboat.controllers.job.policies import judge
from bareboat.controllers.pods import pod_from_template
from bareboat.models import core_v1
from bareboat.models.scheme import Resource

VARIABLE = "JOB_COMPLETION_INDEX"


def make_pod(job: Any, resource: Resource, index: int | None = None, last_failed: core_v1.Pod | None = None) -> core_v1.Pod:
    """``last_failed`` is the pod of the same index that this one is to replace, where failures count per index."""
    pod = pod_from_template(job.spec.template, job, resource)
    meta = pod.metadata
    if TRACKING not in meta.finalizers:
        meta.finalizers = [*meta.finalizers, TRACKING]
    if index is None:
        return pod
    meta.generateName = f"{job.metadata.name}-{index}-"
    meta.labels = {**meta.labels, INDEX: str(index)}
    meta.annotations = {**meta.annotations, INDEX: str(index)}
    if job.spec.backoffLimitPerIndex is not None:
        meta.annotations = {**meta.annotations, **_failure_counts(job, last_failed)}
    pod.spec.hostname = f"{job.metadata.name}-{index}"
    for container in [*pod.spec.initContainers, *pod.spec.containers]:
        if all(v.name != VARIABLE for v in container.env):
            container.env = [*container.env, _variable()]
    return pod


def _failure_counts(job: Any, last_failed: core_v1.Pod | None) -> dict[str, str]:
    if last_failed is None:
        return {FAILURES: "0"}
    counts = judge(job.spec.podFailurePolicy, last_failed).counts
    found = {FAILURES: str(failures_of(last_failed) + counts)}
    ignored = ignored_failures_of(last_failed) + (not counts)
    return {**found, IGNORED_FAILURES: str(ignored)} if ignored else found


def _variable() -> core_v1.EnvVar:
    source = core_v1.ObjectFieldSelector(fieldPath=f"metadata.labels['{INDEX}']")
    return core_v1.EnvVar(name=VARIABLE, valueFrom=core_v1.EnvVarSource(fieldRef=source))
