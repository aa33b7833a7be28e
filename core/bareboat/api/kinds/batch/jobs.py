"""Job and CronJob."""

from __future__ import annotations

import zoneinfo
from typing import Any

from bareboat.api.kinds.apps.templates import matching_labels
from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.batch.job_spec import validate_job_spec
from bareboat.api.kinds.causes import choice, immutable, invalid, non_negative, required, unsupported
from bareboat.api.kinds.core.pod_defaults import default_pod_spec
from bareboat.api.kinds.core.pod_warnings import pod_warnings
from bareboat.api.kinds.selectors import usable, validate_selector
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import cron, meta_v1
from bareboat.models.codec import copy
from bareboat.models.names import dns1123_label, label_value
from bareboat.models.status import Cause

UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
_LEGACY_UID, _LEGACY_NAME = "controller-uid", "job-name"
#: A job's name is this, a dash and ten digits of minutes.
_CRON_NAME_LIMIT = 52
_FIXED = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def default_job_spec(spec: Any) -> None:
    default_pod_spec(spec.template.spec)
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    if spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoffLimit is None:
        spec.backoffLimit = 2**31 - 1 if spec.backoffLimitPerIndex is not None else 6
    spec.completionMode = "NonIndexed" if spec.completionMode is None else spec.completionMode
    spec.suspend = bool(spec.suspend)
    spec.manualSelector = bool(spec.manualSelector)
    if spec.podReplacementPolicy is None:
        spec.podReplacementPolicy = "Failed" if spec.podFailurePolicy is not None else "TerminatingOrFailed"
    for rule in spec.podFailurePolicy.rules if spec.podFailurePolicy is not None else ():
        for pattern in rule.onPodConditions:
            pattern.status = pattern.status or "True"


def identity(obj: Any) -> dict[str, str]:
    """The labels by which a job knows its pods."""
    uid, name = obj.metadata.uid, obj.metadata.name
    return {_LEGACY_UID: uid, _LEGACY_NAME: name, UID_LABEL: uid, NAME_LABEL: name}


class JobStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        status = new.status
        causes = [cause for name in ("active", "succeeded", "failed") for cause in non_negative(f"status.{name}", getattr(status, name))]
        for name in ("ready", "terminating"):
            causes += non_negative(f"status.{name}", getattr(status, name))
        if old.status.startTime and status.startTime != old.status.startTime and not _suspended(new, old):
            causes.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
        return causes


def _suspended(new: Any, old: Any) -> bool:
    return bool(new.spec.suspend or old.spec.suspend)


class JobStrategy(KindStrategy):
    subresources = {"status": JobStatus()}
    selectable = {"status.successful": lambda job: str(job.status.succeeded)}
    orphans = True
    orphans_warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them"
        " or set propagationPolicy=Orphan to suppress this warning"
    )

    def default(self, obj: Any) -> None:
        default_job_spec(obj.spec)
        _default_labels(obj)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        """The selector is the job's own uid unless the client keeps its own."""
        super().prepare_create(obj, ctx)
        spec = obj.spec
        if spec.manualSelector:
            return
        template = spec.template.metadata
        template.labels = {**identity(obj), **template.labels}
        if spec.selector is None:
            spec.selector = meta_v1.LabelSelector()
        spec.selector.matchLabels = {UID_LABEL: obj.metadata.uid, **spec.selector.matchLabels}
        if not label_value(obj.metadata.name):  # upstream gives the labels after validation
            _default_labels(obj)

    def validate_create(self, obj: Any) -> list[Cause]:
        return _generated(obj) + _validate_spec(obj.spec) + _hostname(obj)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        """Upstream looks at the whole and at the change, and says what is wrong with the spec in both."""
        causes = self.validate_create(new) + _validate_spec(new.spec) + _completions(new.spec, old.spec)
        for field in _FIXED:
            causes += immutable(f"spec.{field}", getattr(new.spec, field), getattr(old.spec, field))
        return causes + _template(new, old)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        texts = pod_warnings(obj.spec.template.metadata, obj.spec.template.spec, "spec.template.spec")
        if obj.spec.completionMode == "Indexed" and (obj.spec.completions or 0) > 100_000 and (obj.spec.parallelism or 0) > 10_000:
            message = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
            texts.append(message + "Kubernetes might not be able to track completedIndexes when a big number of indexes fail")
        return texts


def _default_labels(obj: Any) -> None:
    if not obj.metadata.labels and obj.spec.template.metadata.labels:
        obj.metadata.labels = dict(obj.spec.template.metadata.labels)


def _validate_spec(spec: Any) -> list[Cause]:
    causes = validate_job_spec(spec, "spec")
    if spec.selector is None:
        causes.append(required("spec.selector"))
    causes += validate_selector(spec.selector, "spec.selector")
    selector = usable(spec.selector)
    return causes + (matching_labels(spec.template, selector, "spec.template") if selector is not None else [])


def _generated(obj: Any) -> list[Cause]:
    """Labels that the client set itself must be those that the server would have set."""
    spec = obj.spec
    if spec.manualSelector or spec.selector is None:
        return []
    labels = spec.template.metadata.labels
    causes: list[Cause] = []
    for key, value in identity(obj).items():
        if labels.get(key) != value:
            causes.append(invalid(f"spec.template.metadata.labels[{key}]", labels.get(key, ""), f"must be '{value}'"))
    selector = usable(spec.selector)
    if selector is not None and not selector.matches(identity(obj)):
        causes.append(invalid("spec.selector", spec.selector, "`selector` not auto-generated"))
    return causes


def _hostname(obj: Any) -> list[Cause]:
    spec = obj.spec
    if spec.completionMode != "Indexed" or not spec.completions or spec.completions < 0:
        return []
    longest = f"{obj.metadata.name}-{spec.completions - 1}"
    if not dns1123_label(longest):
        return []
    return [invalid("metadata.name", obj.metadata.name, f"will not able to create pod with invalid DNS label: {longest}")]


def _completions(new: Any, old: Any) -> list[Cause]:
    """Those of an indexed job may follow its parallelism."""
    field = "spec.completions"
    if new.completions == old.completions:
        return []
    if new.completionMode != "Indexed" or new.completions is None or old.completions is None:
        return immutable(field, new.completions, old.completions)
    if new.completions == new.parallelism:
        return []
    return [invalid(field, new.completions, "can only be modified in tandem with parallelism")]


def _template(new: Any, old: Any) -> list[Cause]:
    """A suspended job that has not begun may still change where its pods go and what they ask for."""
    template = new.spec.template
    if old.spec.suspend and old.status.startTime is None:
        template = copy(template)
        was, spec = old.spec.template, template.spec
        template.metadata.labels, template.metadata.annotations = was.metadata.labels, was.metadata.annotations
        spec.nodeSelector, spec.tolerations, spec.schedulingGates = was.spec.nodeSelector, was.spec.tolerations, was.spec.schedulingGates
        if spec.affinity is not None and was.spec.affinity is not None:
            spec.affinity.nodeAffinity = was.spec.affinity.nodeAffinity
        for part in ("containers", "initContainers"):
            for container, before in zip(getattr(spec, part), getattr(was.spec, part), strict=False):
                container.resources = before.resources
    return immutable("spec.template", template, old.spec.template)


class CronJobStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.concurrencyPolicy = spec.concurrencyPolicy or "Allow"
        spec.suspend = bool(spec.suspend)
        if spec.successfulJobsHistoryLimit is None:
            spec.successfulJobsHistoryLimit = 3
        if spec.failedJobsHistoryLimit is None:
            spec.failedJobsHistoryLimit = 1
        default_pod_spec(spec.jobTemplate.spec.template.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _cron_spec(obj.spec)
        if "TZ" in obj.spec.schedule and obj.spec.timeZone is None:
            message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            causes.append(invalid("spec.schedule", obj.spec.schedule, message))
        if len(obj.metadata.name) > _CRON_NAME_LIMIT:
            causes.append(invalid("metadata.name", obj.metadata.name, f"must be no more than {_CRON_NAME_LIMIT} characters"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return _cron_spec(new.spec)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        template = obj.spec.jobTemplate.spec.template
        texts = pod_warnings(template.metadata, template.spec, "spec.jobTemplate.spec.template.spec")
        if "TZ" in obj.spec.schedule:
            texts.append("spec.schedule: cannot use TZ or CRON_TZ in schedule, use timeZone instead")
        return texts


def _cron_spec(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    if not spec.schedule:
        causes.append(required("spec.schedule"))
    else:
        try:
            cron.parse(spec.schedule)
        except cron.ScheduleError as error:
            causes.append(invalid("spec.schedule", spec.schedule, str(error)))
        if "TZ" in spec.schedule and spec.timeZone is not None:
            message = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            causes.append(invalid("spec.schedule", spec.schedule, message))
    causes += non_negative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds)
    causes += _time_zone(spec.timeZone)
    causes += choice("spec.concurrencyPolicy", spec.concurrencyPolicy, ("Allow", "Forbid", "Replace"))
    job = spec.jobTemplate.spec
    causes += validate_job_spec(job, "spec.jobTemplate.spec")
    if job.selector is not None:
        causes.append(invalid("spec.jobTemplate.spec.selector", job.selector, "`selector` will be auto-generated"))
    if job.manualSelector:
        causes.append(unsupported("spec.jobTemplate.spec.manualSelector", job.manualSelector, ("nil", "false")))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        causes += non_negative(f"spec.{name}", getattr(spec, name))
    return causes


def _time_zone(name: str | None) -> list[Cause]:
    field = "spec.timeZone"
    if name is None:
        return []
    if not name:
        return [invalid(field, name, "timeZone must be nil or non-empty string")]
    if name.lower() == "local":
        return [invalid(field, name, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")]
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return [invalid(field, name, f"unknown time zone {name}")]
    return []


STRATEGIES: dict[str, type[Strategy]] = {"batch/jobs": JobStrategy, "batch/cronjobs": CronJobStrategy}
