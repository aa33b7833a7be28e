"""Starting the job of a due moment as the concurrency policy allows, keeping the list of active jobs, deleting old ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

from bareboat.controllers.cronjob.times import MANY, due, wait
from bareboat.controllers.freshness import Written
from bareboat.controllers.job.ending import is_finished
from bareboat.controllers.pods import owner_uid
from bareboat.models import batch_v1, core_v1, meta_v1
from bareboat.models.codec import copy
from bareboat.models.cron import Schedule, ScheduleError, parse, zone_named
from bareboat.models.meta import controller_of, is_condition_true, owner_reference
from bareboat.models.status import AlreadyExists, ApiError, NotFound
from bareboat.models.times import format_seconds
from bareboat.models.times import parse as parse_time
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.facts import Dependent
from bareboat.reconcile.informer import InformerFactory

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobController(Controller):
    name = "cronjob-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._written = Written()
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._cronjobs = self.watch(informers.of(batch_v1.CronJob))
        self._jobs = informers.of(batch_v1.Job)
        self._jobs.add_index("owner", owner_uid)
        self.watch(self._jobs, self._owner, Dependent)
        self._resource = self.client.scheme.by_type(batch_v1.CronJob)

    def _owner(self, _key: str, job: Dependent) -> Iterable[str]:
        owner = job.owner
        return [f"{job.metadata.namespace}/{owner.name}"] if owner is not None and owner.kind == "CronJob" else []

    async def reconcile(self, key: str) -> float | None:
        cronjob = self._cronjobs.get(key)
        if cronjob is None:
            self._written.forget(key)
            return None
        if self._written.stale(cronjob):
            return 0.05
        before = copy(cronjob.status)
        jobs = [j for k in self._jobs.by_index("owner", cronjob.metadata.uid) if (j := self._jobs.get(k)) is not None]
        jobs = await self._clean_up(cronjob, jobs)
        await self._follow(cronjob, jobs)
        again = None
        if not cronjob.metadata.deletionTimestamp and not cronjob.spec.suspend:
            again = await self._run_due(cronjob)
        if cronjob.status != before:
            self._written.note(await self.client.update(cronjob, subresource="status"))
        return again

    async def _clean_up(self, cronjob: batch_v1.CronJob, jobs: list[batch_v1.Job]) -> list[batch_v1.Job]:
        """Delete finished jobs beyond the history limits; those that stay."""
        gone: set[str] = set()
        spec = cronjob.spec
        for kind, limit in (("Complete", spec.successfulJobsHistoryLimit), ("Failed", spec.failedJobsHistoryLimit)):
            if limit is None:
                continue
            ended = [j for j in jobs if is_condition_true(j.status.conditions, kind)]
            ended.sort(key=lambda j: (j.status.startTime or "", j.metadata.name))
            for job in ended[: max(0, len(ended) - limit)]:
                await self._delete(cronjob, job)
                gone.add(job.metadata.uid)
        return [j for j in jobs if j.metadata.uid not in gone]

    async def _delete(self, cronjob: batch_v1.CronJob, job: batch_v1.Job) -> None:
        meta = job.metadata
        try:
            await self.client.delete(batch_v1.Job, meta.name, meta.namespace, propagation="Background", uid=meta.uid)
        except NotFound:
            pass  # somebody was faster
        else:
            self.events.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {meta.name}")
        self._drop(cronjob, meta.uid)

    def _drop(self, cronjob: batch_v1.CronJob, uid: str) -> None:
        cronjob.status.active = [r for r in cronjob.status.active if r.uid != uid]

    async def _follow(self, cronjob: batch_v1.CronJob, jobs: list[batch_v1.Job]) -> None:
        """Bring the list of active jobs and the last success up to date."""
        status = cronjob.status
        for job in jobs:
            active = any(r.uid == job.metadata.uid for r in status.active)
            if not active and not is_finished(job):
                message = f"Saw a job that the controller did not create or forgot: {job.metadata.name}"
                self.events.event(cronjob, "Warning", "UnexpectedJob", message)
            elif active and is_finished(job):
                self._drop(cronjob, job.metadata.uid)
                kind = "Complete" if is_condition_true(job.status.conditions, "Complete") else "Failed"
                self.events.event(cronjob, "Normal", "SawCompletedJob", f"Saw completed job: {job.metadata.name}, condition: {kind}")
            ended = job.status.completionTime
            if ended is not None and is_condition_true(job.status.conditions, "Complete"):
                status.lastSuccessfulTime = max(ended, status.lastSuccessfulTime or "")  # canonical text sorts as time
        known = {j.metadata.uid for j in jobs}
        for reference in [r for r in status.active if r.uid not in known]:
            if not await self._exists(reference):
                self.events.event(cronjob, "Normal", "MissingJob", f"Active job went missing: {reference.name}")
                self._drop(cronjob, reference.uid)

    async def _exists(self, reference: core_v1.ObjectReference) -> bool:
        try:
            found = await self.client.get(batch_v1.Job, reference.name, reference.namespace)
        except NotFound:
            return False
        return found.metadata.uid == reference.uid

    async def _run_due(self, cronjob: batch_v1.CronJob) -> float | None:
        try:
            zone = zone_named(cronjob.spec.timeZone or "")
        except ScheduleError as error:
            self.events.event(cronjob, "Warning", "UnknownTimeZone", f"invalid timeZone: {cronjob.spec.timeZone!r}: {error}")
            return None
        try:
            schedule = parse(cronjob.spec.schedule, zone)
        except ScheduleError as error:
            self.events.event(cronjob, "Warning", "UnparseableSchedule", f"unparseable schedule: {cronjob.spec.schedule!r} : {error}")
            return None
        moment = self._due(cronjob, schedule)
        if moment is not None:
            await self._start(cronjob, moment, zone)
        return wait(schedule, *_bounds(cronjob), self.clock.now())

    def _due(self, cronjob: batch_v1.CronJob, schedule: Schedule) -> datetime | None:
        now, deadline = self.clock.now(), cronjob.spec.startingDeadlineSeconds
        found = due(schedule, *_bounds(cronjob), now, deadline)
        if found.missed > MANY:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.events.event(cronjob, "Warning", "TooManyMissedTimes", message)
        if found.moment is None:
            return None
        if deadline is not None and (now - found.moment).total_seconds() > deadline:
            self.events.event(cronjob, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {format_seconds(found.moment)}")
            return None
        return found.moment

    async def _start(self, cronjob: batch_v1.CronJob, moment: datetime, zone: tzinfo) -> None:
        status, job = cronjob.status, self._job(cronjob, moment, zone)
        if status.lastScheduleTime == format_seconds(moment) or any(r.name == job.metadata.name for r in status.active):
            return
        if cronjob.spec.concurrencyPolicy == "Forbid" and status.active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.events.event(cronjob, "Normal", "JobAlreadyActive", message)
            return
        if cronjob.spec.concurrencyPolicy == "Replace":
            for reference in list(status.active):
                await self._replace(cronjob, reference)
        made = await self._create(cronjob, job)
        if made is None:
            return
        status.lastScheduleTime = format_seconds(moment)
        if not is_finished(made):
            status.active = [*status.active, _reference(made)]

    async def _replace(self, cronjob: batch_v1.CronJob, reference: core_v1.ObjectReference) -> None:
        try:
            job = await self.client.get(batch_v1.Job, reference.name, reference.namespace)
        except NotFound:
            self._drop(cronjob, reference.uid)
            return
        await self._delete(cronjob, job)

    async def _create(self, cronjob: batch_v1.CronJob, job: batch_v1.Job) -> batch_v1.Job | None:
        """The job, also if an earlier reconcile made it and could not note so; None if the name is somebody else's."""
        try:
            made = await self.client.create(job)
        except AlreadyExists:
            found = await self.client.get(batch_v1.Job, job.metadata.name, job.metadata.namespace)
            owner = controller_of(found.metadata)
            return found if owner is not None and owner.uid == cronjob.metadata.uid else None
        except ApiError as error:
            self.events.event(cronjob, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        self.events.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {made.metadata.name}")
        return made

    def _job(self, cronjob: batch_v1.CronJob, moment: datetime, zone: tzinfo) -> batch_v1.Job:
        template = cronjob.spec.jobTemplate
        stamp = moment.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
        meta = meta_v1.ObjectMeta(
            name=f"{cronjob.metadata.name}-{int(moment.timestamp()) // 60}",
            namespace=cronjob.metadata.namespace,
            labels=dict(template.metadata.labels),
            annotations={**template.metadata.annotations, SCHEDULED: stamp},
            ownerReferences=[owner_reference(cronjob, self._resource)],
        )
        return batch_v1.Job(metadata=meta, spec=copy(template.spec))


def _bounds(cronjob: batch_v1.CronJob) -> tuple[datetime, datetime | None]:
    """When it was created and last ran."""
    last = cronjob.status.lastScheduleTime
    return parse_time(cronjob.metadata.creationTimestamp), parse_time(last) if last else None


def _reference(job: Any) -> core_v1.ObjectReference:
    meta = job.metadata
    return core_v1.ObjectReference(
        kind="Job", apiVersion="batch/v1", namespace=meta.namespace, name=meta.name, uid=meta.uid, resourceVersion=meta.resourceVersion
    )
