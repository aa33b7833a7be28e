"""The row of a pod: readiness, the one word of its state, restarts; and of what makes pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bareboat.api.tables.values import NONE, age
from bareboat.models.meta import get_condition, is_condition_true
from bareboat.models.times import parse


def pod(obj: Any, now: datetime) -> list[Any]:
    spec, status = obj.spec, obj.status
    sidecars = {c.name for c in spec.initContainers if c.restartPolicy == "Always"}
    total = len(spec.containers) + len(sidecars)
    ready = sum(1 for c in status.containerStatuses if c.ready and c.state.running is not None)
    ready += sum(1 for c in status.initContainerStatuses if c.name in sidecars and c.ready and c.started)
    gates = NONE
    if spec.readinessGates:
        true = sum(1 for g in spec.readinessGates if (c := get_condition(status.conditions, g.conditionType)) and c.status == "True")
        gates = f"{true}/{len(spec.readinessGates)}"
    return [
        obj.metadata.name,
        f"{ready}/{total}",
        reason(obj, sidecars),
        _restarts(obj, sidecars, now),
        age(obj.metadata.creationTimestamp, now),
        status.podIP or NONE,
        spec.nodeName or NONE,
        status.nominatedNodeName or NONE,
        gates,
    ]


def reason(obj: Any, sidecars: set[str]) -> str:
    """The word in the STATUS column."""
    status = obj.status
    word = status.reason or status.phase
    scheduled = get_condition(status.conditions, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        word = "SchedulingGated"
    initializing = _init_reason(obj, sidecars)
    if not initializing or is_condition_true(status.conditions, "Initialized"):
        word = _container_reason(obj, initializing or word)
    else:
        word = initializing
    if obj.metadata.deletionTimestamp and status.reason == "NodeLost":
        return "Unknown"
    if obj.metadata.deletionTimestamp and status.phase not in ("Succeeded", "Failed"):
        return "Terminating"
    return word


def _init_reason(obj: Any, sidecars: set[str]) -> str:
    for index, container in enumerate(obj.status.initContainerStatuses):
        state = container.state
        if state.terminated is not None and state.terminated.exitCode == 0:
            continue
        if container.name in sidecars and container.started:
            continue
        if state.terminated is not None:
            return "Init:" + _ended(state.terminated)
        if state.waiting is not None and state.waiting.reason and state.waiting.reason != "PodInitializing":
            return f"Init:{state.waiting.reason}"
        return f"Init:{index}/{len(obj.spec.initContainers)}"
    return ""


def _ended(terminated: Any) -> str:
    if terminated.reason:
        return str(terminated.reason)
    return f"Signal:{terminated.signal}" if terminated.signal else f"ExitCode:{terminated.exitCode}"


def _container_reason(obj: Any, word: str) -> str:
    running = False
    for container in reversed(obj.status.containerStatuses):
        state = container.state
        if state.waiting is not None and state.waiting.reason:
            word = str(state.waiting.reason)
        elif state.terminated is not None:
            word = _ended(state.terminated)
        elif container.ready and state.running is not None:
            running = True
    if word == "Completed" and running:
        ready = get_condition(obj.status.conditions, "Ready")
        word = "Running" if ready is not None and ready.status == "True" else "NotReady"
    return word


def _restarts(obj: Any, sidecars: set[str], now: datetime) -> str:
    counted = [*obj.status.containerStatuses, *(c for c in obj.status.initContainerStatuses if c.name in sidecars)]
    if not all(
        c.state.terminated is not None and c.state.terminated.exitCode == 0
        for c in obj.status.initContainerStatuses
        if c.name not in sidecars
    ):
        counted = [*counted, *obj.status.initContainerStatuses]
    count = sum(c.restartCount for c in counted)
    ends = [c.lastState.terminated.finishedAt for c in counted if c.lastState.terminated is not None and c.lastState.terminated.finishedAt]
    if not count or not ends:
        return str(count)
    return f"{count} ({age(max(ends, key=parse), now)} ago)"
