"""The waiting pods: active ones by priority and age; refused ones until something changes that may help, or five minutes have passed.

A refused pod waits for the kinds of change (hints) that its refusal depends on. Woken, it serves its back-off (1 s doubling to
10 s); when nothing else is to do and only few serve, the next one is tried at once: a full cluster must neither idle nor spin.
Keys only; the scheduler reads the pod when its turn comes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable

from bareboat.base.clock import Clock
from bareboat.scheduler.verdict import EVERYTHING

BACKOFF_FIRST = 1.0
BACKOFF_CAP = 10.0
#: A refused pod is tried again after this long even if nothing changed, in seconds.
FLUSH_AFTER = 300.0
#: With no more than this many in back-off they need not serve it when nothing else is to do.
FEW = 16


class Waiting:
    """One pod's state in the queue."""

    __slots__ = ("attempts", "hints", "number", "priority", "since", "state", "timer")

    def __init__(self, priority: int, number: int) -> None:
        self.priority, self.number = priority, number
        self.attempts = 0
        self.since = 0.0
        self.state = ""
        self.hints: frozenset[str] = frozenset()
        self.timer: asyncio.TimerHandle | None = None

    def backoff(self) -> float:
        return min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(self.attempts - 1, 10))


class SchedulingQueue:
    """Single consumer. A pod that was popped is still known (for its attempts) until it is removed, but not held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[int, int, str]] = []
        self._serving: list[tuple[float, int, str]] = []
        self._refused: dict[str, Waiting] = {}
        self._in_backoff = 0
        self._ready = asyncio.Event()

    def add(self, key: str, priority: int) -> None:
        """A new or changed pod: it is tried as soon as its turn comes."""
        pod = self._pods.get(key)
        if pod is None:
            pod = self._pods[key] = Waiting(priority, next(self._order))
        pod.priority = priority
        self._activate(key, pod)

    def holds(self, key: str) -> bool:
        """Whether the pod waits here, in whatever way."""
        pod = self._pods.get(key)
        return pod is not None and pod.state != ""

    def remove(self, key: str) -> None:
        """Bound or gone."""
        pod = self._pods.pop(key, None)
        if pod is not None:
            self._leave(key, pod)

    def refuse(self, key: str, priority: int, hints: frozenset[str] = EVERYTHING) -> None:
        """No node now: wait for ``wake`` or the flush."""
        pod = self._counted(key, priority)
        pod.hints, pod.state = hints, "refused"
        self._refused[key] = pod
        pod.timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self._back, key)

    def fail(self, key: str, priority: int) -> None:
        """Something went wrong: once more, after the back-off in any case."""
        pod = self._counted(key, priority)
        pod.state = "failed"
        pod.timer = asyncio.get_running_loop().call_later(pod.backoff(), self._back, key)

    def wake(self, change: str) -> None:
        """Pods that the change may help come back."""
        self.wake_some(key for key, pod in self._refused.items() if change in pod.hints)

    def wake_some(self, keys: Iterable[str]) -> None:
        """Those of the pods that were refused come back when their back-off is over, or earlier."""
        for key in list(keys):
            pod = self._refused.get(key)
            if pod is None:
                continue
            self._leave(key, pod)
            until = pod.since + pod.backoff()
            if until <= self._clock.monotonic():
                self._activate(key, pod)
                continue
            pod.state = "backoff"
            self._in_backoff += 1
            heapq.heappush(self._serving, (until, pod.number, key))
            pod.timer = asyncio.get_running_loop().call_later(until - self._clock.monotonic(), self._back, key)
            self._ready.set()

    async def pop(self) -> str:
        """The next pod; waits for one."""
        while True:
            key = self._next_active() or self._next_serving()
            if key:
                self._leave(key, self._pods[key])
                return key
            self._ready.clear()
            await self._ready.wait()

    def _next_active(self) -> str:
        while self._active:
            _, number, key = heapq.heappop(self._active)
            pod = self._pods.get(key)
            if pod is not None and pod.state == "active" and pod.number == number:
                return key
        return ""

    def _next_serving(self) -> str:
        while self._serving and self._in_backoff <= FEW:
            _, number, key = heapq.heappop(self._serving)
            pod = self._pods.get(key)
            if pod is not None and pod.state == "backoff" and pod.number == number:
                return key
        return ""

    def _counted(self, key: str, priority: int) -> Waiting:
        pod = self._pods.get(key)
        if pod is None:
            pod = self._pods[key] = Waiting(priority, next(self._order))
        self._leave(key, pod)
        pod.priority = priority
        pod.attempts += 1
        pod.since = self._clock.monotonic()
        return pod

    def _back(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is not None:
            self._activate(key, pod)

    def _activate(self, key: str, pod: Waiting) -> None:
        if pod.state == "active":
            return
        self._leave(key, pod)
        pod.state = "active"
        heapq.heappush(self._active, (-pod.priority, pod.number, key))
        self._ready.set()

    def _leave(self, key: str, pod: Waiting) -> None:
        if pod.state == "backoff":
            self._in_backoff -= 1
        self._refused.pop(key, None)
        pod.state = ""
        if pod.timer is not None:
            pod.timer.cancel()
            pod.timer = None
