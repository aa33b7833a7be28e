"""From what pods use to how many there should be. Pure functions.

Pods that are starting or have no figures are counted against a change: as idle when it would grow, as busy when it would shrink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from bareboat.controllers.autoscaling.metrics import NoMetrics, Use
from bareboat.models import core_v1
from bareboat.models.meta import get_condition
from bareboat.models.quantity import Quantity
from bareboat.models.times import parse

#: For so many seconds after its start a pod's cpu figures count only if they were taken while it was ready.
STARTING = 300.0
#: A pod that became unready within so many seconds of its start never was ready.
FIRST_READY = 30.0


class Tolerance(NamedTuple):
    """How far from 1 the ratio of use to target may be without a change."""

    down: float = 0.1
    up: float = 0.1

    def within(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(NamedTuple):
    """``utilization`` in percent of what pods ask for, None where that does not matter; ``average`` in thousandths."""

    replicas: int
    average: int
    utilization: int | None = None


class Groups(NamedTuple):
    ready: dict[str, Use]
    unready: set[str]
    missing: set[str]


def group(pods: Iterable[core_v1.Pod], uses: Mapping[str, Use], resource: str, now: datetime) -> Groups:
    found = Groups({}, set(), set())
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletionTimestamp or pod.status.phase in ("Failed", "Succeeded"):
            continue
        if pod.status.phase == "Pending":
            found.unready.add(name)
        elif name not in uses:
            found.missing.add(name)
        elif resource == "cpu" and _is_starting(pod, uses[name], now):
            found.unready.add(name)
        else:
            found.ready[name] = uses[name]
    return found


def _is_starting(pod: core_v1.Pod, use: Use, now: datetime) -> bool:
    condition = get_condition(pod.status.conditions, "Ready")
    if condition is None or pod.status.startTime is None or condition.lastTransitionTime is None:
        return True
    started, changed = parse(pod.status.startTime), parse(condition.lastTransitionTime)
    if (now - started).total_seconds() < STARTING:
        return condition.status == "False" or (use.at - changed).total_seconds() < use.window
    return condition.status == "False" and (changed - started).total_seconds() < FIRST_READY


def by_utilization(
    current: int, target: int, pods: list[core_v1.Pod], groups: Groups, resource: str, container: str, tolerance: Tolerance
) -> Proposal:
    """``target`` in percent of the requests. Raises NoMetrics."""
    requests = {p.metadata.name: _request(p, resource, container) for p in pods}
    asked = sum(requests[n] for n in groups.ready)
    if not groups.ready or not asked:
        raise NoMetrics(f"did not receive metrics for targeted pods (pods might be unready) of resource {resource}")
    used = sum(u.milli for u in groups.ready.values())
    utilization = used * 100 // asked

    def ratio(extra: Mapping[str, int]) -> float:
        total = asked + sum(requests[n] for n in extra)
        return (used + sum(extra.values())) * 100 / total / target

    busy = max(100, target)
    replicas = _decide(current, groups, ratio, lambda n: requests[n] * busy // 100, tolerance)
    return Proposal(replicas, used // len(groups.ready), utilization)


def by_average(current: int, target: int, groups: Groups, tolerance: Tolerance) -> Proposal:
    """``target`` in thousandths per pod. Raises NoMetrics."""
    if not groups.ready:
        raise NoMetrics("did not receive metrics for targeted pods (pods might be unready)")
    used = sum(u.milli for u in groups.ready.values())

    def ratio(extra: Mapping[str, int]) -> float:
        return (used + sum(extra.values())) / (len(groups.ready) + len(extra)) / target

    return Proposal(_decide(current, groups, ratio, lambda _n: target, tolerance), used // len(groups.ready))


def _decide(
    current: int, groups: Groups, ratio: Callable[[Mapping[str, int]], float], busy: Callable[[str], int], tolerance: Tolerance
) -> int:
    first = ratio({})
    grows = first > 1.0
    if not groups.missing and not (groups.unready and grows):
        return current if tolerance.within(first) else math.ceil(_rounded(first * len(groups.ready)))
    extra = {n: 0 if grows else busy(n) for n in groups.missing}
    if grows:
        extra.update(dict.fromkeys(groups.unready, 0))
    second = ratio(extra)
    if tolerance.within(second) or (first < 1.0 < second) or (second < 1.0 < first):
        return current
    wanted = math.ceil(_rounded(second * (len(groups.ready) + len(extra))))
    if (second < 1.0 and wanted > current) or (second > 1.0 and wanted < current):
        return current
    return wanted


def _rounded(value: float) -> float:
    """Without the last bits, which could make one pod more of nothing."""
    return round(value, 9)


def _request(pod: core_v1.Pod, resource: str, container: str) -> int:
    total = 0
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for found in [*pod.spec.containers, *sidecars]:
        if container and found.name != container:
            continue
        text = found.resources.requests.get(resource)
        if text is None:
            raise NoMetrics(f"missing request for {resource} in container {found.name} of Pod {pod.metadata.name}")
        total += Quantity.parse(text).milli()
    return total
