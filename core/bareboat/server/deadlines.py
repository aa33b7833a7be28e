"""Request timeouts: who takes longer than allowed is answered with 504, and what it held is free again.

A timer per request would cost more than the request. All that run are in one dictionary, in order of their beginning, and a task
looks twice a second at those that began first. Only a client that asks for less (``?timeout=``) has a timer of its own.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from bareboat.api.request import ApiRequest
from bareboat.base.clock import Clock
from bareboat.models.status import BadRequest, Timeout

EVERY: Final = 0.5
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
Task = asyncio.Task[Any]


def timed_out() -> Timeout:
    return Timeout("Timeout: request did not complete within the allotted timeout", details={})


class Deadlines:
    """``seconds`` for every request that is not long-running."""

    def __init__(self, clock: Clock, seconds: float = 60.0) -> None:
        self._clock = clock
        self.seconds = seconds
        self._running: dict[Task, float] = {}
        self._timers: dict[Task, asyncio.TimerHandle] = {}
        self._late: set[Task] = set()

    def begin(self, task: Task | None = None) -> Task:
        """The time of a task (or of the current one) runs. ``end`` must follow."""
        found = task or asyncio.current_task()
        assert found is not None
        self._running[found] = self._clock.monotonic()
        return found

    def shorten(self, task: Task, request: ApiRequest) -> None:
        """As the client asks. Raises BadRequest."""
        text = request.first("timeout")
        if not text:
            return
        wanted = duration(text)
        if wanted is None:
            raise BadRequest("invalid timeout specified in the request URL")
        if 0 < wanted < self.seconds:
            self._timers[task] = asyncio.get_running_loop().call_later(wanted, self._expire, task)

    def end(self, task: Task) -> None:
        """Twice is fine."""
        self._running.pop(task, None)
        if self._timers:
            timer = self._timers.pop(task, None)
            if timer is not None:
                timer.cancel()
        if self._late:
            self._late.discard(task)

    def late(self, task: Task) -> bool:
        """Whether the cancellation that the task sees is from here."""
        return task in self._late

    async def run(self) -> None:
        while True:
            await self._clock.sleep(EVERY)
            bound = self._clock.monotonic() - self.seconds
            overdue = []
            for task, began in self._running.items():
                if began > bound:
                    break
                overdue.append(task)
            for task in overdue:
                self._expire(task)

    def _expire(self, task: Task) -> None:
        if self._running.pop(task, None) is not None:
            self._late.add(task)
            task.cancel()


def duration(text: str) -> float | None:
    """Go's time.ParseDuration in seconds; None if it is none."""
    if text == "0":
        return 0.0
    found = _PART.findall(text.removeprefix("+"))
    if not found or "".join(n + u for n, u in found) != text.removeprefix("+"):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in found)
