"""Metrics of a server as Prometheus text, under upstream's names where upstream has them.

In: what the parts of a server count. Out: one scrape. The Prometheus library is imported at the first one.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bareboat.api.request_metrics import RequestMetrics
from bareboat.base.clock import Clock
from bareboat.cluster.request_lines import RequestLines
from bareboat.store.log import Log

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class LoopLag:
    """How late the event loop runs what is due: the last measure and the worst of the last minute, in seconds."""

    EVERY = 0.5
    KEPT = 120

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measures: list[float] = [0.0]

    async def run(self) -> None:
        while True:
            due = self._clock.monotonic() + self.EVERY
            await self._clock.sleep(self.EVERY)
            self._measures = [*self._measures[-self.KEPT + 1 :], max(0.0, self._clock.monotonic() - due)]

    @property
    def last(self) -> float:
        return self._measures[-1]

    @property
    def worst(self) -> float:
        return max(self._measures)


class ServerMetrics:
    """What a scrape of one server shows."""

    def __init__(self, log: Log, requests: RequestMetrics, lag: LoopLag, more: Sequence[Callable[[], Iterator[Metric]]] = ()) -> None:
        self._log = log
        self._requests = requests
        self._lag = lag
        self._more = more
        self._lines = RequestLines(requests)
        self._registry: Any = None

    def render(self) -> bytes:
        """The text exposition format. On the loop's thread."""
        from prometheus_client import CollectorRegistry, generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
        return self._lines.text() + generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """For the library."""
        yield from self._of_requests()
        yield from self._of_store()
        yield from self._of_process()
        for collect in self._more:
            yield from collect()

    def _of_requests(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        inflight = GaugeMetricFamily("apiserver_current_inflight_requests", "Requests under way.", labels=("request_kind",))
        for kind, count in self._requests.inflight.items():
            inflight.add_metric((kind,), count)
        yield inflight

    def _of_store(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        objects = GaugeMetricFamily("apiserver_storage_objects", "Objects in the store.", labels=("resource",))
        for name in sorted(self._log.resources()):
            group, _, plural = name.partition("/")
            objects.add_metric((plural if group == "core" else f"{plural}.{group}",), self._log.count(name + "/"))
        yield objects
        watches = GaugeMetricFamily("apiserver_longrunning_requests", "Watches that are open.", labels=("verb",))
        watches.add_metric(("WATCH",), self._log.subscribers)
        yield watches
        yield GaugeMetricFamily("bareboat_store_revision", "The newest revision.", value=self._log.head)

    def _of_process(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily("process_cpu_seconds", "CPU time.", value=usage.ru_utime + usage.ru_stime)
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", value=_resident())
        yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=len(os.listdir("/proc/self/fd")))
        yield GaugeMetricFamily("bareboat_tasks", "Tasks on the event loop.", value=len(asyncio.all_tasks()))
        yield GaugeMetricFamily("bareboat_loop_lag_seconds", "How late the event loop was the last time.", value=self._lag.last)
        yield GaugeMetricFamily("bareboat_loop_lag_worst_seconds", "The same, worst of the last minute.", value=self._lag.worst)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
