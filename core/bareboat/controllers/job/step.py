"""What one reconcile does to the pods of a job: stop them, start more, take away what is too much."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.controllers.job.backoff import Record, remaining
from bareboat.controllers.job.outcome import all_failures_of, ended_at, replaces_only_failed
from bareboat.controllers.job.picture import Picture
from bareboat.controllers.job.template import make_pod
from bareboat.controllers.pods import create_pods, delete_pods, deletion_rank, is_ready
from bareboat.models import batch_v1, core_v1
from bareboat.models.status import ApiError
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.expectations import Expectations

#: Pods created or deleted in one reconcile at most.
BURST = 500


class Hands(Protocol):
    """What a step works with; the controller."""

    client: Client
    clock: Clock
    events: EventRecorder
    expectations: Expectations


class Step:
    """What one reconcile does to the pods of a job; ``active``, ``ready`` and ``terminating`` follow."""

    def __init__(self, hands: Hands, key: str, job: batch_v1.Job, picture: Picture, record: Record) -> None:
        self._hands = hands
        self._key = key
        self._job = job
        self._picture = picture
        self._record = record
        self.active, self.ready, self.terminating = len(picture.active), picture.ready, picture.terminating
        self.again: float | None = None
        self.error: ApiError | None = None

    def is_complete(self) -> bool:
        wanted = self._job.spec.completions
        if wanted is None:
            return self._picture.succeeded > 0 and self.active == 0
        return self._picture.succeeded >= wanted and self.active == 0

    async def stop(self) -> None:
        await self._delete(self._picture.active)

    async def try_to_manage(self) -> None:
        """A refused pod is kept in ``error``: the status is to be written all the same."""
        try:
            await self._manage()
        except ApiError as error:
            self.error = error

    async def _manage(self) -> None:
        if self._job.spec.suspend:
            await self._delete(self._picture.active)
            return
        wanted = self._wanted()
        doomed = self._surplus(max(0, self.active - wanted))[:BURST]
        if doomed:
            await self._delete(doomed)
            return
        leaving = self.terminating if replaces_only_failed(self._job) else 0
        missing = wanted - leaving - self.active
        if missing > 0:
            await self._create(missing)

    def _wanted(self) -> int:
        spec = self._job.spec
        parallelism: int = 1 if spec.parallelism is None else spec.parallelism
        if spec.completions is None:
            return self.active if self._picture.succeeded > 0 else parallelism
        failed = len(self._picture.failed_indexes or ())
        left: int = spec.completions - self._picture.succeeded - failed
        return max(0, min(parallelism, left))

    def _surplus(self, least: int) -> list[core_v1.Pod]:
        """Pods without a valid index of their own first, then whichever are the least loss."""
        picture = self._picture
        found: list[core_v1.Pod] = []
        unique = not picture.indexed or len(picture.indexes_of(picture.active) - picture.done) == len(picture.active)
        if least == 0 and unique:
            return found
        crowd = Counter(p.spec.nodeName for p in picture.active)
        ranked = sorted(picture.active, key=lambda p: deletion_rank(p, crowd))
        if picture.indexed:
            seen: set[int] = set()
            for pod in reversed(ranked):
                index = picture.valid_index(pod)
                if index is None or index in seen or index in picture.done:
                    found.append(pod)
                else:
                    seen.add(index)
        chosen = {p.metadata.uid for p in found}
        rest = [p for p in ranked if p.metadata.uid not in chosen]
        return [*found, *rest[: max(0, least - len(found))]]

    async def _delete(self, pods: list[core_v1.Pod]) -> None:
        if not pods:
            return
        self._hands.expectations.expect(self._key, deletions={p.metadata.uid for p in pods})
        seen = self._hands.expectations.deleted
        await delete_pods(self._hands.client, pods, self._job, self._hands.events, lambda uid: seen(self._key, uid))
        self.active -= len(pods)
        self.terminating += len(pods)
        self.ready -= sum(1 for p in pods if is_ready(p))

    async def _create(self, missing: int) -> None:
        picture, now = self._picture, self._hands.clock.now().timestamp()
        count = min(missing, BURST)
        if not picture.per_index and (wait := self._record.remaining(now)) > 0:
            self.again = wait
            return
        indexes: list[int | None] = [None] * count
        if picture.indexed:
            indexes = list(self._indexes_to_start(count, now))
        if not indexes:
            return
        resource = self._hands.client.scheme.by_type(batch_v1.Job)

        def make(number: int) -> core_v1.Pod:
            index = indexes[number]
            return make_pod(self._job, resource, index, picture.delayed.get(index) if index is not None else None)

        self._hands.expectations.expect(self._key, creations=len(indexes))
        made = 0
        try:
            made = await create_pods(self._hands.client, len(indexes), make, self._job, self._hands.events)
        finally:
            for _ in range(len(indexes) - made):
                self._hands.expectations.created(self._key)
        self.active += made
        if made < len(indexes):
            self.again = 1.0

    def _indexes_to_start(self, count: int, now: float) -> list[int]:
        picture = self._picture
        busy = picture.done | picture.indexes_of(picture.active) | (picture.failed_indexes or set())
        if replaces_only_failed(self._job):
            busy |= picture.indexes_of(picture.leaving)
        found: list[int] = []
        for index in range(self._job.spec.completions or 0):
            if len(found) == count:
                break
            if index in busy:
                continue
            last = picture.delayed.get(index)
            wait = remaining(all_failures_of(last) + 1, ended_at(last, now), now) if last is not None else 0.0
            if wait > 0:
                self.again = wait if self.again is None else min(self.again, wait)
            else:
                found.append(index)
        return found
