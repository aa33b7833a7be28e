"""A pod's status from its spec and what its containers are doing, as upstream's kubelet computes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from bareboat.base.clock import rfc3339
from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.meta import get_condition, is_condition_true, set_condition


class Observed(msgspec.Struct, kw_only=True):
    """What an agent knows of one container: its attempts, oldest first, why it waits, and what its probes say."""

    attempts: list[cri.Container] = []
    waiting_reason: str = ""
    waiting_message: str = ""
    ready: bool = False
    started: bool = False
    termination_message: str = ""
    image: str = ""


def moment(nanos: int) -> str | None:
    return rfc3339(datetime.fromtimestamp(nanos / 1e9, UTC)) if nanos else None


def _terminated(runtime: str, found: cri.Container, message: str) -> core_v1.ContainerStateTerminated:
    reason = found.reason or ("Completed" if found.exit_code == 0 else "Error")
    return core_v1.ContainerStateTerminated(
        exitCode=found.exit_code,
        reason=reason,
        message=message or found.message,
        startedAt=moment(found.started_at),
        finishedAt=moment(found.finished_at),
        containerID=f"{runtime}://{found.id}",
    )


def container_status(runtime: str, container: core_v1.Container, seen: Observed, initializing: bool) -> core_v1.ContainerStatus:
    status = core_v1.ContainerStatus(name=container.name, image=container.image)
    current = seen.attempts[-1] if seen.attempts else None
    if current is None:
        reason = seen.waiting_reason or ("PodInitializing" if initializing else "ContainerCreating")
        status.state = core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=reason, message=seen.waiting_message))
        status.started = False
        return status
    status.restartCount = current.config.attempt
    status.containerID = f"{runtime}://{current.id}"
    status.imageID = current.image_id
    if current.state == "RUNNING":
        status.state = core_v1.ContainerState(running=core_v1.ContainerStateRunning(startedAt=moment(current.started_at)))
        status.ready, status.started = seen.ready, seen.started
    elif current.state == "EXITED":
        ended = _terminated(runtime, current, seen.termination_message)
        status.started = False
        if seen.waiting_reason:
            status.state = core_v1.ContainerState(
                waiting=core_v1.ContainerStateWaiting(reason=seen.waiting_reason, message=seen.waiting_message)
            )
            status.lastState = core_v1.ContainerState(terminated=ended)
        else:
            status.state = core_v1.ContainerState(terminated=ended)
    else:
        status.state = core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=seen.waiting_reason or "ContainerCreating"))
        status.started = False
    if len(seen.attempts) > 1 and status.lastState.terminated is None:
        status.lastState = core_v1.ContainerState(terminated=_terminated(runtime, seen.attempts[-2], ""))
    return status


def is_sidecar(container: core_v1.Container) -> bool:
    return container.restartPolicy == "Always"


def initialized(pod: core_v1.Pod, seen: Mapping[str, Observed]) -> bool:
    """Every init container has done its part; sidecars count once they have started."""
    for container in pod.spec.initContainers:
        found = seen.get(container.name, Observed())
        current = found.attempts[-1] if found.attempts else None
        if is_sidecar(container):
            if current is None or not found.started:
                return False
        elif current is None or current.state != "EXITED" or current.exit_code != 0:
            return False
    return True


def phase(pod: core_v1.Pod, statuses: list[core_v1.ContainerStatus], *, ready_to_run: bool, init_failed: bool) -> str:
    """Pending, Running, Succeeded or Failed."""
    if init_failed:
        return "Failed"
    if not ready_to_run:
        return "Pending"
    policy = pod.spec.restartPolicy
    running = sum(s.state.running is not None for s in statuses)
    ended = [s.state.terminated for s in statuses if s.state.terminated is not None]
    again = sum(s.state.waiting is not None and s.lastState.terminated is not None for s in statuses)
    waiting = len(statuses) - running - len(ended) - again
    if waiting:
        return "Pending"
    if running or again:
        return "Running"
    if policy == "Always":
        return "Running"
    if all(t.exitCode == 0 for t in ended):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def conditions(pod: core_v1.Pod, status: core_v1.PodStatus, *, has_sandbox: bool, is_initialized: bool, now: str) -> None:
    """Set the agent's conditions in ``status.conditions``; those of others stay."""

    def put(kind: str, true: bool, reason: str = "", message: str = "") -> None:
        set_condition(status.conditions, kind, "True" if true else "False", reason, message, now, cls=core_v1.PodCondition)
        condition = get_condition(status.conditions, kind)
        assert condition is not None
        condition.observedGeneration = pod.metadata.generation or 0

    done = status.phase == "Succeeded"
    over = status.phase in ("Succeeded", "Failed")
    put("PodReadyToStartContainers", has_sandbox and not over)
    unfinished = [c.name for c in pod.spec.initContainers if not is_initialized]
    message = f"containers with incomplete status: [{' '.join(unfinished)}]" if unfinished else ""
    put("Initialized", is_initialized or over, "PodCompleted" if done else "" if is_initialized else "ContainersNotInitialized", message)
    not_ready = [s.name for s in status.containerStatuses if not s.ready]
    sidecars = {c.name for c in pod.spec.initContainers if is_sidecar(c)}
    not_ready += [s.name for s in status.initContainerStatuses if s.name in sidecars and not s.ready]
    ready = not not_ready and not over
    reason = "PodCompleted" if done else "" if ready else "ContainersNotReady"
    message = "" if ready or done else f"containers with unready status: [{' '.join(not_ready)}]"
    put("ContainersReady", ready, reason, message)
    missing = [g.conditionType for g in pod.spec.readinessGates if not is_condition_true(status.conditions, g.conditionType)]
    if ready and missing:
        reason, message = "ReadinessGatesNotReady", f'corresponding condition of pod readiness gate "{missing[0]}" does not exist.'
    put("Ready", ready and not missing, reason, message)
    put("PodScheduled", True)


def same(left: Any, right: Any) -> bool:
    return bool(msgspec.json.encode(left) == msgspec.json.encode(right))


def init_status(found: core_v1.ContainerStatus) -> core_v1.ContainerStatus:
    """An init container that has done its part is ready."""
    if found.state.terminated is not None and found.state.terminated.exitCode == 0:
        found.ready = True
    return found
