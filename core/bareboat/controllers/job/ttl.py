"""Finished jobs with ``ttlSecondsAfterFinished`` are deleted when that time is over."""

from __future__ import annotations

from bareboat.controllers.job.ending import is_finished
from bareboat.models import batch_v1
from bareboat.models.meta import get_condition
from bareboat.models.status import NotFound
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory


class TtlAfterFinishedController(Controller):
    name = "ttl-after-finished-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._jobs = self.watch(informers.of(batch_v1.Job))

    async def reconcile(self, key: str) -> float | None:
        job = self._jobs.get(key)
        if job is None or (left := self._left(job)) is None:
            return None
        if left > 0:
            return left
        meta = job.metadata
        try:
            fresh = await self.client.get(batch_v1.Job, meta.name, meta.namespace)
            left = self._left(fresh)
            if left is not None and left <= 0 and fresh.metadata.uid == meta.uid:
                revision = fresh.metadata.resourceVersion
                await self.client.delete(
                    batch_v1.Job, meta.name, meta.namespace, propagation="Foreground", uid=meta.uid, resource_version=revision
                )
        except NotFound:
            return None
        return None

    def _left(self, job: batch_v1.Job) -> float | None:
        """Seconds until the job may go, None if it stays."""
        wait = job.spec.ttlSecondsAfterFinished
        if wait is None or job.metadata.deletionTimestamp or not is_finished(job):
            return None
        ended = get_condition(job.status.conditions, "Complete") or get_condition(job.status.conditions, "Failed")
        if ended is None or ended.lastTransitionTime is None:
            return None
        return parse(ended.lastTransitionTime).timestamp() + wait - self.clock.now().timestamp()
