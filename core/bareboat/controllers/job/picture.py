"""What is true of a job now, from its pods and what its status has counted already. Computed once per reconcile; nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.controllers.job import indexes
from bareboat.controllers.job.outcome import all_failures_of, failures_of, index_of, is_failed, is_indexed, is_tracked
from bareboat.controllers.job.policies import judge
from bareboat.controllers.pods import is_active, is_ready
from bareboat.models import core_v1


class Picture:
    """``removed`` are the uids of pods whose finalizer is gone though the informer still shows it."""

    def __init__(self, job: Any, pods: list[core_v1.Pod], removed: set[str]) -> None:
        self.job = job
        self.pods = pods
        self.removed = removed
        self.indexed = is_indexed(job)
        self.per_index = self.indexed and job.spec.backoffLimitPerIndex is not None
        self.active = [p for p in pods if is_active(p)]
        self.ready = sum(1 for p in self.active if is_ready(p))
        self.leaving = [p for p in pods if p.metadata.deletionTimestamp and p.status.phase not in ("Succeeded", "Failed")]
        self.terminating = len(self.leaving)
        self._count()
        self.done_before: set[int] = set()
        self.done: set[int] = set()
        self.failed_indexes: set[int] | None = None
        self.delayed: dict[int, core_v1.Pod] = {}
        if self.indexed:
            self._by_index()

    def tracked(self, pod: core_v1.Pod) -> bool:
        return is_tracked(pod) and pod.metadata.uid not in self.removed

    def valid_index(self, pod: core_v1.Pod) -> int | None:
        index = index_of(pod)
        return index if index is not None and index < (self.job.spec.completions or 0) else None

    def indexes_of(self, pods: list[core_v1.Pod]) -> set[int]:
        return {i for p in pods if (i := self.valid_index(p)) is not None}

    def _count(self) -> None:
        status = self.job.status
        waiting = status.uncountedTerminatedPods
        self.uncounted_succeeded = set(waiting.succeeded) if waiting is not None else set()
        self.uncounted_failed = set(waiting.failed) if waiting is not None else set()
        self.fresh_succeeded = self._fresh(self.uncounted_succeeded, lambda p: p.status.phase == "Succeeded")
        self.fresh_failed = self._fresh(self.uncounted_failed, lambda p: is_failed(p, self.job))
        self.succeeded = status.succeeded + len(self.fresh_succeeded) + len(self.uncounted_succeeded)
        policy = self.job.spec.podFailurePolicy
        counting = sum(1 for p in self.fresh_failed if judge(policy, p).counts)
        self.failed = status.failed + counting + len(self.uncounted_failed)

    def _fresh(self, known: set[str], ended: Callable[[core_v1.Pod], bool]) -> list[core_v1.Pod]:
        return [p for p in self.pods if self.tracked(p) and p.metadata.uid not in known and ended(p)]

    def _by_index(self) -> None:
        self.done_before = indexes.parse(self.job.status.completedIndexes, self.job.spec.completions or 0)
        ended = [p for p in self.pods if p.status.phase == "Succeeded" and self.tracked(p)]
        self.done = self.done_before | self.indexes_of(ended)
        self.succeeded = len(self.done)
        if self.per_index:
            before = indexes.parse(self.job.status.failedIndexes or "", self.job.spec.completions or 0)
            self.failed_indexes = before | self.indexes_of([p for p in self.pods if self._fails_index(p)])
            self.delayed = self._last_failures()

    def _fails_index(self, pod: core_v1.Pod) -> bool:
        """Whether this failure was the last that its index is allowed."""
        if not is_failed(pod, self.job):
            return False
        verdict = judge(self.job.spec.podFailurePolicy, pod)
        return verdict.action == "FailIndex" or (verdict.counts and failures_of(pod) >= self.job.spec.backoffLimitPerIndex)

    def _last_failures(self) -> dict[int, core_v1.Pod]:
        """The last failed pod of each index to be tried again; it keeps its finalizer until its successor carries the count on."""
        found: dict[int, core_v1.Pod] = {}
        settled = self.done | (self.failed_indexes or set()) | self.indexes_of(self.active)
        for pod in self.pods:
            index = self.valid_index(pod)
            if index is None or index in settled or not self.tracked(pod) or not is_failed(pod, self.job):
                continue
            if index not in found or all_failures_of(found[index]) < all_failures_of(pod):
                found[index] = pod
        return found
