"""Deciding what a job needs: more pods, fewer pods, or its end.

In: the picture of a job. Out: pods created and deleted, conditions, status. Counting ended pods is ``tracking``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.controllers.claims import PodClaims
from bareboat.controllers.freshness import Written
from bareboat.controllers.job.backoff import Record
from bareboat.controllers.job.ending import condition, ending, final, is_finished, success
from bareboat.controllers.job.outcome import TRACKING, ended_at
from bareboat.controllers.job.picture import Picture
from bareboat.controllers.job.step import Step
from bareboat.controllers.job.tracking import Tracking, remove_finalizer
from bareboat.models import batch_v1, core_v1
from bareboat.models.codec import copy
from bareboat.models.meta import controller_of, get_condition
from bareboat.models.selectors import from_label_selector
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.expectations import Expectations
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

OURS = "kubernetes.io/job-controller"
_ORPHAN = "orphan pod "
#: Index: the namespace of a pod that a job counts.
_TRACKED = "tracked"


class JobController(Controller):
    """Keys are jobs, and ``orphan pod ns/name`` for a pod that waits for a job which is gone."""

    name = "job-controller"
    workers = 4

    def __init__(self, context: ControllerContext) -> None:
        self.expectations = Expectations(context.clock)
        self._written = Written()
        self._backoff: dict[str, Record] = {}
        self._removed: dict[str, set[str]] = {}
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._jobs = self.watch(informers.of(batch_v1.Job))
        self._claims = PodClaims(self.client, informers, self._jobs, lambda job: from_label_selector(job.spec.selector), finalizer=TRACKING)
        self._pods = self._claims.pods
        self._resource = self._claims.resource
        self._claims.expect(self.expectations)
        self._pods.add_index(_TRACKED, lambda pod: (pod.metadata.namespace,) if TRACKING in pod.metadata.finalizers else (), PodFacts)
        self.watch(self._pods, self._owners, PodFacts)

    def _owners(self, key: str, pod: PodFacts) -> Iterable[str]:
        owner, meta = pod.owner, pod.metadata
        held = TRACKING in meta.finalizers
        if owner is not None and owner.kind == "Job" and not held:
            self._removed.get(f"{meta.namespace}/{owner.name}", set()).discard(meta.uid)
        found = list(self._claims.owners_of(key, pod))
        lost = held and (not found or (owner is not None and self._jobs.raw(found[0]) is None))
        return [*found, *([_ORPHAN + key] if lost else [])]

    async def reconcile(self, key: str) -> float | None:
        if key.startswith(_ORPHAN):
            return await self._free(key.removeprefix(_ORPHAN))
        job = self._jobs.get(key)
        if job is None:
            self._forget(key)
            return None
        if job.spec.managedBy not in (None, OURS):
            return None
        if self._written.stale(job):
            return 0.05
        if is_finished(job):
            self._backoff.pop(key, None)
            for pod in await self._claims.of(job):
                if TRACKING in pod.metadata.finalizers:
                    await remove_finalizer(self.client, pod)
            return None
        return await self._sync(key, job)

    def _forget(self, key: str) -> None:
        self.note_size(key, 0)
        self.expectations.forget(key)
        self._written.forget(key)
        self._backoff.pop(key, None)
        self._removed.pop(key, None)
        for found in self._pods.by_index(_TRACKED, key.partition("/")[0]):
            self.queue.add(_ORPHAN + found)

    async def _free(self, key: str) -> float | None:
        """No job will count this pod any more."""
        pod = self._pods.get(key)
        if pod is None or TRACKING not in pod.metadata.finalizers:
            return None
        owner = controller_of(pod.metadata)
        if owner is None and any(self._would_adopt(job, pod) for job in self._jobs.list(pod.metadata.namespace)):
            return None
        if owner is not None and owner.kind == "Job":
            job = self._jobs.get(f"{pod.metadata.namespace}/{owner.name}")
            if job is not None and job.metadata.uid == owner.uid and not is_finished(job):
                return None
        await remove_finalizer(self.client, pod)
        return None

    def _would_adopt(self, job: batch_v1.Job, pod: core_v1.Pod) -> bool:
        gone = job.metadata.deletionTimestamp or is_finished(job)
        return not gone and from_label_selector(job.spec.selector).matches(pod.metadata.labels)

    async def _sync(self, key: str, job: batch_v1.Job) -> float | None:
        before, now = copy(job.status), self.clock.now().timestamp()
        goes_on = self.expectations.satisfied(key) and not job.metadata.deletionTimestamp
        picture = Picture(job, await self._claims.claim(job), self._removed.setdefault(key, set()))
        self.note_size(key, max(len(picture.pods), job.spec.parallelism or 0))
        if job.status.startTime is None and not job.spec.suspend:
            job.status.startTime = self.clock.timestamp()
        record = self._backoff.get(key, Record()).after(
            [ended_at(p, now) for p in picture.fresh_succeeded], [ended_at(p, now) for p in picture.fresh_failed]
        )
        step = Step(self, key, job, picture, record)
        end = ending(picture, self.clock)
        if end is not None:
            await step.stop()
        else:
            if goes_on:
                await step.try_to_manage()
            if step.is_complete():
                end = success(self.clock.timestamp())
            elif goes_on:
                self._note_suspension(job)
        job.status.active, job.status.ready, job.status.terminating = step.active, step.ready, step.terminating
        await self._count(key, before, picture, end, record)
        if step.error is not None:
            raise step.error
        return min((w for w in (step.again, self._deadline(job)) if w is not None), default=None)

    async def _count(self, key: str, before: Any, picture: Picture, end: batch_v1.JobCondition | None, record: Record) -> None:
        """Count what ended, write the status, and finish the job if nothing is left."""
        tracking = Tracking(self.client, picture, before, end, self._flush)
        job = await tracking.run()
        self._backoff[key] = record
        last = None
        settled = tracking.all_counted and not job.status.active and not job.status.terminating
        if end is not None and settled and self.expectations.satisfied(key):
            last = final(end, self.clock.timestamp())
            job.status.conditions = [*job.status.conditions, last]
            if last.type == "Complete":
                job.status.completionTime = last.lastTransitionTime
        if job.status != tracking.stored:
            await self._flush(job)
        if last is not None:
            self._announce(job, last)

    async def _flush(self, job: batch_v1.Job) -> batch_v1.Job:
        written = await self.client.update(job, subresource="status")
        self._written.note(written)
        return written

    def _note_suspension(self, job: batch_v1.Job) -> None:
        known = get_condition(job.status.conditions, "Suspended")
        wanted = "True" if job.spec.suspend else "False"
        if (known is None and not job.spec.suspend) or (known is not None and known.status == wanted):
            return
        reason, message = ("JobSuspended", "Job suspended") if job.spec.suspend else ("JobResumed", "Job resumed")
        now = self.clock.timestamp()
        others = [c for c in job.status.conditions if c.type != "Suspended"]
        job.status.conditions = [*others, condition("Suspended", reason, message, now, wanted)]
        if job.spec.suspend:
            job.status.startTime = None
        else:
            job.status.startTime = now
        self.events.event(job, "Normal", "Suspended" if job.spec.suspend else "Resumed", message)

    def _announce(self, job: batch_v1.Job, final: batch_v1.JobCondition) -> None:
        if final.type == "Failed":
            self.events.event(job, "Warning", final.reason, final.message)
            return
        if job.spec.completions is not None and job.status.succeeded > job.spec.completions:
            message = f"Too many succeeded pods running after completion count reached: {job.status.succeeded}"
            self.events.event(job, "Warning", "TooManySucceededPods", message)
        self.events.event(job, "Normal", "Completed", "Job completed")

    def _deadline(self, job: batch_v1.Job) -> float | None:
        if job.spec.activeDeadlineSeconds is None or job.spec.suspend or job.status.startTime is None:
            return None
        due = parse(job.status.startTime).timestamp() + job.spec.activeDeadlineSeconds
        return max(0.05, due - self.clock.now().timestamp())
