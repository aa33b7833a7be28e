"""Counting every ended pod exactly once, whatever is interrupted.

A pod keeps the tracking finalizer until the status says that it was counted: first the pod's uid (or index) goes into the status,
then its finalizer goes, then the uid moves into the counter. Only when nothing is left on the way does the job get its final condition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bareboat.client.client import Client
from bareboat.controllers.job import indexes
from bareboat.controllers.job.outcome import TRACKING, index_of, is_failed
from bareboat.controllers.job.picture import Picture
from bareboat.controllers.job.policies import judge
from bareboat.models import batch_v1, core_v1
from bareboat.models.codec import copy
from bareboat.models.meta import is_condition_true
from bareboat.models.status import Conflict, NotFound

#: Uids in the status at most.
MOST_UNCOUNTED = 500
Flush = Callable[[Any], Awaitable[Any]]


class Tracking:
    """One reconcile's counting. ``stored`` is the status as the API has it, ``end`` the interim condition that the job is to get."""

    def __init__(
        self, client: Client, picture: Picture, stored: batch_v1.JobStatus, end: batch_v1.JobCondition | None, flush: Flush
    ) -> None:
        self._client = client
        self._picture = picture
        self._end = end
        self._flush = flush
        self.job = copy(picture.job)
        self.stored = stored
        self._truncated = False

    @property
    def all_counted(self) -> bool:
        waiting = self.job.status.uncountedTerminatedPods
        return not self._truncated and (waiting is None or not (waiting.succeeded or waiting.failed))

    async def run(self) -> Any:
        """The job as it is after counting; its status may still have to be written by the caller."""
        status = self.job.status
        if status.uncountedTerminatedPods is None:
            status.uncountedTerminatedPods = batch_v1.UncountedTerminatedPods()
        held = {p.metadata.uid for p in self._picture.pods if self._picture.tracked(p)}
        self._settle(held)
        release = self._count()
        self._note_indexes()
        self._note_interim()
        await self._write()
        error = None
        for pod, outcome in zip(release, await asyncio.gather(*map(self._untrack, release), return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException):
                error = outcome
            else:
                held.discard(pod.metadata.uid)
        self._settle(held)
        if error is not None:
            await self._write()
            raise error
        return self.job

    async def _write(self) -> None:
        if self.job.status != self.stored:
            self.job = await self._flush(self.job)
            self.stored = copy(self.job.status)
            if self.job.status.uncountedTerminatedPods is None:
                self.job.status.uncountedTerminatedPods = batch_v1.UncountedTerminatedPods()

    def _settle(self, held: set[str]) -> None:
        """Uids whose finalizer is gone move into the counters."""
        status = self.job.status
        waiting = status.uncountedTerminatedPods
        succeeded = [u for u in waiting.succeeded if u in held]
        failed = [u for u in waiting.failed if u in held]
        status.succeeded += len(waiting.succeeded) - len(succeeded)
        status.failed += len(waiting.failed) - len(failed)
        waiting.succeeded, waiting.failed = succeeded, failed

    def _count(self) -> list[core_v1.Pod]:
        """Put ended pods into the status; the pods whose finalizer may go once it is written."""
        release = []
        picture, waiting = self._picture, self.job.status.uncountedTerminatedPods
        self._newly_done: set[int] = set()
        for pod in sorted(picture.pods, key=lambda p: (index_of(p) or 0, p.metadata.name)):
            failed = is_failed(pod, self.job)
            if not picture.tracked(pod) or not self._may_go(pod, failed):
                continue
            release.append(pod)
            if pod.status.phase == "Succeeded" and pod.metadata.uid not in picture.uncounted_failed:
                self._count_success(pod, waiting)
            elif failed or (self._end is not None and self._end.type == "FailureTarget"):
                self._count_failure(pod, waiting)
            if len(self._newly_done) + len(waiting.succeeded) + len(waiting.failed) >= MOST_UNCOUNTED:
                self._truncated = True
                break
        return release

    def _may_go(self, pod: core_v1.Pod, failed: bool) -> bool:
        if self.job.metadata.deletionTimestamp or pod.status.phase == "Succeeded" or self._end is not None:
            return True
        last = self._picture.delayed.get(i) if (i := index_of(pod)) is not None else None
        return failed and (last is None or last.metadata.uid != pod.metadata.uid)

    def _count_success(self, pod: core_v1.Pod, waiting: Any) -> None:
        if self._picture.indexed:
            index = self._picture.valid_index(pod)
            if index is not None and index not in self._picture.done_before:
                self._newly_done.add(index)
        elif pod.metadata.uid not in waiting.succeeded:
            waiting.succeeded = [*waiting.succeeded, pod.metadata.uid]

    def _count_failure(self, pod: core_v1.Pod, waiting: Any) -> None:
        if pod.metadata.uid in self._picture.uncounted_failed or (self._picture.indexed and self._picture.valid_index(pod) is None):
            return
        if judge(self.job.spec.podFailurePolicy, pod).counts:
            waiting.failed = [*waiting.failed, pod.metadata.uid]

    def _note_indexes(self) -> None:
        status, picture = self.job.status, self._picture
        if not picture.indexed:
            return
        done = picture.done_before | self._newly_done
        status.succeeded, status.completedIndexes = len(done), indexes.render(done)
        status.failedIndexes = indexes.render(picture.failed_indexes) if picture.failed_indexes is not None else None

    def _note_interim(self) -> None:
        end, conditions = self._end, self.job.status.conditions
        if end is not None and not is_condition_true(conditions, end.type):
            self.job.status.conditions = [*conditions, end]

    async def _untrack(self, pod: core_v1.Pod) -> None:
        await remove_finalizer(self._client, pod)
        self._picture.removed.add(pod.metadata.uid)


async def remove_finalizer(client: Client, pod: core_v1.Pod) -> None:
    """Of the pod as it is now; a pod that is gone is fine."""
    patch = {"metadata": {"uid": pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [TRACKING]}}
    try:
        await client.patch(core_v1.Pod, pod.metadata.name, patch, pod.metadata.namespace, type="strategic")
    except NotFound:
        return
    except Conflict as error:
        if "UID in precondition" not in str(error):  # that is another pod of the same name
            raise
