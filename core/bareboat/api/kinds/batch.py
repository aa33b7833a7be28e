"""Job and CronJob."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import immutable, invalid, non_negative, one_of, required
from bareboat.api.kinds.pod_defaults import default_pod_spec
from bareboat.api.kinds.workloads import validate_template
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models import cron, meta_v1
from bareboat.models.status import Cause

_NOT_ALWAYS = ("Never", "OnFailure")


def default_job_spec(spec: Any) -> None:
    default_pod_spec(spec.template.spec)
    if spec.completions is None and spec.parallelism is None:
        spec.completions = spec.parallelism = 1
    elif spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoffLimit is None:
        spec.backoffLimit = 2**31 - 1 if spec.backoffLimitPerIndex is not None else 6
    spec.completionMode = spec.completionMode or "NonIndexed"
    spec.suspend = bool(spec.suspend)
    spec.podReplacementPolicy = spec.podReplacementPolicy or ("Failed" if spec.podFailurePolicy is not None else "TerminatingOrFailed")
    spec.manualSelector = spec.manualSelector if spec.manualSelector is not None else None


def validate_job_spec(spec: Any, at: str, *, generated: bool) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
        causes += non_negative(f"{at}.{field}", getattr(spec, field))
    causes += one_of(f"{at}.completionMode", spec.completionMode, ("Indexed", "NonIndexed"))
    if spec.completionMode == "Indexed" and spec.completions is None:
        causes.append(required(f"{at}.completions", "when completion mode is Indexed"))
    return causes + validate_template(spec.template, None if generated else spec.selector, f"{at}.template", _NOT_ALWAYS)


class JobStrategy(KindStrategy):
    selectable = {"status.successful": lambda job: str(job.status.succeeded)}

    def default(self, obj: Any) -> None:
        default_job_spec(obj.spec)
        labels = obj.spec.template.metadata.labels
        if labels and not obj.metadata.labels:
            obj.metadata.labels = dict(labels)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        """The selector is the job's own uid unless the client keeps its own."""
        super().prepare_create(obj, ctx)
        spec = obj.spec
        if spec.manualSelector:
            return
        template = spec.template.metadata
        identity = {
            "controller-uid": obj.metadata.uid,
            "job-name": obj.metadata.name,
            "batch.kubernetes.io/controller-uid": obj.metadata.uid,
            "batch.kubernetes.io/job-name": obj.metadata.name,
        }
        template.labels = {**template.labels, **identity}
        if spec.selector is None:
            spec.selector = meta_v1.LabelSelector()
        spec.selector.matchLabels = {**spec.selector.matchLabels, "batch.kubernetes.io/controller-uid": obj.metadata.uid}

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = validate_job_spec(obj.spec, "spec", generated=False)
        if len(obj.metadata.name) > 63:
            causes.append(invalid("metadata.name", obj.metadata.name, "must be no more than 63 characters"))
        return causes + ([] if obj.spec.selector is not None else [required("spec.selector")])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = validate_job_spec(new.spec, "spec", generated=False)
        if new.spec.completionMode != "Indexed":
            causes += immutable("spec.completions", new.spec.completions, old.spec.completions)
        causes += immutable("spec.selector", new.spec.selector, old.spec.selector)
        if not old.spec.suspend:
            causes += immutable("spec.template", new.spec.template, old.spec.template)
        return causes + immutable("spec.completionMode", new.spec.completionMode, old.spec.completionMode)


def _schedule(spec: Any) -> list[Cause]:
    causes = []
    if "TZ" in spec.schedule:
        message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        causes.append(invalid("spec.schedule", spec.schedule, message))
    else:
        try:
            cron.parse(spec.schedule)
        except cron.ScheduleError as error:
            causes.append(invalid("spec.schedule", spec.schedule, str(error)))
    if spec.timeZone is not None:
        if not spec.timeZone or spec.timeZone.lower() == "local":
            causes.append(
                invalid(
                    "spec.timeZone", spec.timeZone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
                )
            )
        else:
            try:
                cron.zone_named(spec.timeZone)
            except cron.ScheduleError as error:
                causes.append(invalid("spec.timeZone", spec.timeZone, str(error)))
    return causes


class CronJobStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.concurrencyPolicy = spec.concurrencyPolicy or "Allow"
        spec.suspend = bool(spec.suspend)
        if spec.successfulJobsHistoryLimit is None:
            spec.successfulJobsHistoryLimit = 3
        if spec.failedJobsHistoryLimit is None:
            spec.failedJobsHistoryLimit = 1
        job = spec.jobTemplate.spec
        default_pod_spec(job.template.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = one_of("spec.concurrencyPolicy", spec.concurrencyPolicy, ("Allow", "Forbid", "Replace"))
        if not spec.schedule:
            causes.append(required("spec.schedule"))
        else:
            causes += _schedule(spec)
        if len(obj.metadata.name) > 52:
            causes.append(invalid("metadata.name", obj.metadata.name, "must be no more than 52 characters"))
        causes += non_negative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds)
        template = spec.jobTemplate.spec.template
        return causes + validate_template(template, None, "spec.jobTemplate.spec.template", _NOT_ALWAYS)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


STRATEGIES: dict[str, type[Strategy]] = {"batch/jobs": JobStrategy, "batch/cronjobs": CronJobStrategy}
