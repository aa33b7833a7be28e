"""The watchdog: a thread that notices when the event loop stands still, and says who holds it.

The loop shows a sign of life twice a second. When none has come for a while, the thread takes the stack of the loop's thread, names
the plugin whose code is innermost on it (else the kernel's module), and logs both; again when it has taken ten times as long, and
once more when the loop goes on. It only tells: code in the server's process is trusted, and cannot be stopped from outside.
Native code that keeps the interpreter's lock keeps the watchdog, too: it then tells afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Final

from bareboat.base.clock import Clock

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = logging.getLogger("bareboat.watchdog")
EVERY: Final = 0.5
#: Seconds without a sign of life.
PATIENCE: Final = 2.0
_FRAMES: Final = 25


class Watchdog:
    """Of one loop. ``run`` on it; the thread ends when it ends."""

    def __init__(self, clock: Clock, patience: float = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._alive = clock.monotonic()
        self._ended = threading.Event()
        #: how often and how long the loop stood still, by who held it
        self.blocked: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    async def run(self) -> None:
        loop_thread = threading.get_ident()
        self._alive = self._clock.monotonic()
        self._ended.clear()
        watching = threading.Thread(target=self._watch, args=(loop_thread,), name="watchdog", daemon=True)
        watching.start()
        every = min(EVERY, self._patience / 4)
        try:
            while True:
                await asyncio.sleep(every)
                self._alive = self._clock.monotonic()
        finally:
            self._ended.set()

    def _watch(self, thread: int) -> None:
        told, culprit, since = 0.0, "", 0.0
        while not self._ended.wait(min(EVERY, self._patience / 4)):
            silent = self._clock.monotonic() - self._alive
            if told and silent < since:  # it goes on
                log.warning("the event loop goes on: %s held it for %.1f seconds", culprit, since)
                self.seconds[culprit] = self.seconds.get(culprit, 0.0) + since
                told = since = 0.0
            if silent < self._patience:
                continue
            since = silent
            if not told or silent > told * 10:
                if not told:
                    culprit = self._report(thread, silent)
                    self.blocked[culprit] = self.blocked.get(culprit, 0) + 1
                else:
                    self._report(thread, silent)
                told = silent

    def _report(self, thread: int, silent: float) -> str:
        frame = sys._current_frames().get(thread)
        culprit = holder(frame)
        stack = "".join(traceback.format_stack(frame)[-_FRAMES:]) if frame is not None else ""
        log.error("the event loop has stood still for %.1f seconds; %s holds it:\n%s", silent, culprit, stack)
        return culprit

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        from prometheus_client.metrics_core import CounterMetricFamily

        times = CounterMetricFamily("bareboat_loop_blocked", "How often the event loop stood still.", labels=("holder",))
        seconds = CounterMetricFamily("bareboat_loop_blocked_seconds", "For how long.", labels=("holder",))
        for name, count in self.blocked.items():
            times.add_metric((name,), count)
            seconds.add_metric((name,), self.seconds.get(name, 0.0))
        yield times
        yield seconds


def holder(frame: FrameType | None) -> str:
    """The plugin that is innermost on the stack; without one the innermost module of the kernel, else of anybody."""
    modules: list[str] = []
    while frame is not None:
        modules.append(str(frame.f_globals.get("__name__", "?")))
        frame = frame.f_back
    plugin = next((m.split(".")[0] for m in modules if m.startswith("bareboat_")), "")
    if plugin:
        return f"plugin {plugin.removeprefix('bareboat_').replace('_', '-')}"
    return next((m for m in modules if m.startswith("bareboat.")), modules[0] if modules else "nobody")
