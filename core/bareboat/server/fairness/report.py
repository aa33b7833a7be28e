"""What the gate shows of itself: metrics under upstream's names, and the tables of /debug/api_priority_and_fairness/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from bareboat.base.clock import Clock
from bareboat.server.fairness.gate import Fairness
from bareboat.server.fairness.level import Level
from bareboat.server.fairness.queues import Queue
from bareboat.server.fairness.waits import BUCKETS

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_PREFIX = "apiserver_flowcontrol_"
_BY = ("priority_level", "flow_schema")
DUMPS = tuple(f"/debug/api_priority_and_fairness/dump_{what}" for what in ("priority_levels", "queues", "requests"))


def collect(gate: Fairness) -> Iterator[Metric]:
    """For a scrape."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    dispatched = CounterMetricFamily(f"{_PREFIX}dispatched_requests", "Requests that were let in.", labels=_BY)
    for schema in gate.schemas:
        dispatched.add_metric((schema.level, schema.name), schema.dispatched)
    yield dispatched
    rejected = CounterMetricFamily(f"{_PREFIX}rejected_requests", "Requests that were refused.", labels=(*_BY, "reason"))
    for level in gate.levels.values():
        for (name, reason), count in level.rejected.items():
            rejected.add_metric((level.name, name, reason), count)
    yield rejected
    gauges: tuple[tuple[str, str, Callable[[Level], float]], ...] = (
        ("current_inqueue_requests", "Requests that wait.", lambda v: v.waiting),
        ("current_executing_requests", "Requests that run.", lambda v: v.executing),
        ("current_executing_seats", "Seats that are taken.", lambda v: v.used),
        ("nominal_limit_seats", "Seats by the configuration.", lambda v: v.nominal),
        ("lower_limit_seats", "Seats that are never lent.", lambda v: v.lower),
        ("upper_limit_seats", "Seats with all that may be borrowed.", lambda v: v.upper),
        ("current_limit_seats", "Seats now.", lambda v: v.limit),
        ("demand_seats_smoothed", "Seats that were wanted lately.", lambda v: v.smoothed),
    )
    for name, text, value in gauges:
        gauge = GaugeMetricFamily(_PREFIX + name, text, labels=("priority_level",))
        for level in gate.levels.values():
            gauge.add_metric((level.name,), value(level))
        yield gauge
    yield _waits(gate)


def _waits(gate: Fairness) -> Metric:
    from prometheus_client.metrics_core import HistogramMetricFamily

    family = HistogramMetricFamily(f"{_PREFIX}request_wait_duration_seconds", "How long requests waited.", labels=(*_BY, "execute"))
    waited = gate.waits.found
    at_once = {(s.name, s.level, True): s.dispatched for s in gate.schemas if s.dispatched}
    for key in {**at_once, **waited}:
        counts, total = waited.get(key, ([0] * (len(BUCKETS) + 1), [0.0]))
        counts = [counts[0] + max(0, at_once.get(key, 0) - sum(counts)), *counts[1:]]
        bounds = [*map(str, BUCKETS), "+Inf"]
        schema, level, ran = key
        family.add_metric((level, schema, str(ran).lower()), list(zip(bounds, accumulate(counts), strict=True)), total[0])
    return family


def dump(gate: Fairness, clock: Clock, path: str, details: bool) -> str:
    """The table at ``path``, one of DUMPS."""
    if path == DUMPS[0]:
        return _table(_LEVEL_HEAD, [_level_row(level) for level in gate.levels.values()])
    if path == DUMPS[1]:
        return _table(_QUEUE_HEAD, [row for level in gate.levels.values() for row in _queue_rows(level)])
    head = (*_REQUEST_HEAD, *_DETAILS) if details else _REQUEST_HEAD
    return _table(head, [row for level in gate.levels.values() for row in _request_rows(level, clock, details)])


_LEVEL_HEAD = ("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests")
_QUEUE_HEAD = (
    *("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse"),
    *("NextDispatchR", "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum"),
)
_REQUEST_HEAD = (
    *("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher"),
    *("ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency"),
)
_DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")


def _queues(level: Level) -> Iterator[Queue]:
    for queues in (level.for_seats, level.for_turns):
        yield from queues or ()


def _level_row(level: Level) -> tuple[object, ...]:
    if level.exempt:
        return (level.name, *["<none>"] * 5)
    active = sum(bool(q.waiting) for q in _queues(level))
    return level.name, active, _bool(not level.executing and not level.waiting), "false", level.waiting, level.executing


def _queue_rows(level: Level) -> Iterator[tuple[object, ...]]:
    if level.for_seats is None:
        yield (level.name, *["<none>"] * 8)
    for queue in _queues(level):
        seats = sum(t.width for t in queue.waiting)
        row = (level.name, queue.index, len(queue.waiting), queue.executing, queue.seats, f"{queue.begins:.8f}ss", seats, seats)
        yield (*row, f"{seats * 0.003:.8f}ss")


def _request_rows(level: Level, clock: Clock, details: bool) -> Iterator[tuple[object, ...]]:
    now, elapsed = clock.now(), clock.monotonic()
    for queue in _queues(level):
        for position, ticket in enumerate(queue.waiting):
            arrived = now - timedelta(seconds=elapsed - ticket.arrived)
            at = arrived.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            row = (level.name, ticket.flow[0], queue.index, position, ticket.flow[1], at, max(1, ticket.width), 0, "0s")
            info = ticket.info
            version = f"{info.group}/{info.version}" if info.group else info.version
            more = (ticket.user, info.verb, info.path, info.namespace, info.name, version, info.resource, info.subresource)
            yield (*row, *more) if details else row


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Comma-separated and aligned."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) if i < len(row) else 0 for row in cells) + 2 for i in range(max(map(len, cells)))]
    lines = [" ".join(f"{cell},".ljust(widths[i]) if i < len(row) - 1 else cell for i, cell in enumerate(row)) for row in cells]
    return "\n".join(lines) + "\n"
