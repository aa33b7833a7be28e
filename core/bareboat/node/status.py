"""A pod's status from its spec and what its containers are doing, as upstream's kubelet computes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from bareboat.base.clock import rfc3339
from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.meta import get_condition, set_condition
from bareboat.node import restarts


class Observed(msgspec.Struct, kw_only=True):
    """What an agent knows of one container: its attempts, oldest first, why it waits, and what its probes say.

    ``messages`` are the termination messages, by container id.
    """

    attempts: list[cri.Container] = []
    waiting_reason: str = ""
    waiting_message: str = ""
    ready: bool = False
    started: bool = False
    messages: dict[str, str] = {}


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


def container_status(
    runtime: str, container: core_v1.Container | core_v1.EphemeralContainer, seen: Observed, initializing: bool
) -> core_v1.ContainerStatus:
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
    status.volumeMounts = [_mounted(mount) for mount in container.volumeMounts]
    if current.state == "RUNNING":
        status.state = core_v1.ContainerState(running=core_v1.ContainerStateRunning(startedAt=moment(current.started_at)))
        status.ready, status.started = seen.ready, seen.started
    elif current.state == "EXITED":
        ended = _terminated(runtime, current, seen.messages.get(current.id, ""))
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
        status.lastState = core_v1.ContainerState(
            terminated=_terminated(runtime, seen.attempts[-2], seen.messages.get(seen.attempts[-2].id, ""))
        )
    return status


def _mounted(mount: core_v1.VolumeMount) -> core_v1.VolumeMountStatus:
    deep = "Disabled" if mount.readOnly else None
    return core_v1.VolumeMountStatus(name=mount.name, mountPath=mount.mountPath, readOnly=mount.readOnly, recursiveReadOnly=deep)


def is_sidecar(container: core_v1.Container) -> bool:
    return container.restartPolicy == "Always"


def initialized(pod: core_v1.Pod, seen: Mapping[str, Observed]) -> bool:
    """Every init container has done its part; sidecars count once they have started, and later for good."""
    begun = any(seen.get(c.name, Observed()).attempts for c in pod.spec.containers)
    for container in pod.spec.initContainers:
        found = seen.get(container.name, Observed())
        current = found.attempts[-1] if found.attempts else None
        if is_sidecar(container):
            if current is None or not (found.started or begun):
                return False
        elif current is None or current.state != "EXITED" or current.exit_code != 0:
            return False
    return True


def phase(pod: core_v1.Pod, found: core_v1.PodStatus, *, ready_to_run: bool, over: bool = False) -> str:
    """Pending, Running, Succeeded or Failed. ``over``: nothing of it starts again."""
    statuses = found.containerStatuses
    ended = [(c, s.state.terminated) for c, s in zip(pod.spec.containers, statuses, strict=True) if s.state.terminated is not None]
    if over and len(ended) == len(statuses):
        return "Succeeded" if all(t.exitCode == 0 for _, t in ended) and ready_to_run else "Failed"
    if _init_failed(pod, found):
        return "Failed"
    if not ready_to_run:
        return "Pending"
    running = sum(s.state.running is not None for s in statuses)
    again = sum(s.state.waiting is not None and s.lastState.terminated is not None for s in statuses)
    again += sum(restarts.restarts(pod, c, t.exitCode) for c, t in ended)
    if any(s.state.waiting is not None and s.lastState.terminated is None for s in statuses):
        return "Pending"
    if running or again:
        return "Running"
    return "Succeeded" if all(t.exitCode == 0 for _, t in ended) else "Failed"


def _init_failed(pod: core_v1.Pod, found: core_v1.PodStatus) -> bool:
    for container, each in zip(pod.spec.initContainers, found.initContainerStatuses, strict=True):
        ended = each.state.terminated
        if (
            ended is not None
            and ended.exitCode
            and not is_sidecar(container)
            and not restarts.restarts_init(pod, container, ended.exitCode)
        ):
            return True
    return False


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
    unfinished = [] if is_initialized else _unfinished(pod, status)
    message = f"containers with incomplete status: [{' '.join(unfinished)}]" if unfinished else ""
    put("Initialized", is_initialized or done, "PodCompleted" if done else "" if is_initialized else "ContainersNotInitialized", message)
    not_ready = [s.name for s in status.containerStatuses if not s.ready]
    sidecars = {c.name for c in pod.spec.initContainers if is_sidecar(c)}
    not_ready += [s.name for s in status.initContainerStatuses if s.name in sidecars and not s.ready]
    ready = not not_ready and not over
    reason = "PodCompleted" if done else "PodFailed" if over else "" if ready else "ContainersNotReady"
    message = "" if ready or over else f"containers with unready status: [{' '.join(not_ready)}]"
    put("ContainersReady", ready, reason, message)
    gates = _closed_gates(pod, status)
    if ready and gates:
        reason, message = "ReadinessGatesNotReady", ", ".join(gates)
    put("Ready", ready and not gates, reason, message)
    put("PodScheduled", True)


def _unfinished(pod: core_v1.Pod, status: core_v1.PodStatus) -> list[str]:
    """Init containers that have not done their part, sidecars that have not begun theirs."""
    both = zip(pod.spec.initContainers, status.initContainerStatuses, strict=True)
    return [container.name for container, found in both if not (found.started if is_sidecar(container) else found.ready)]


def disrupted(pod: core_v1.Pod, status: core_v1.PodStatus, message: str, now: str) -> None:
    """For Jobs and others who tell a pod's own failure from the node's."""
    set_condition(status.conditions, "DisruptionTarget", "True", "TerminationByKubelet", message, now, cls=core_v1.PodCondition)
    condition = get_condition(status.conditions, "DisruptionTarget")
    assert condition is not None
    condition.observedGeneration = pod.metadata.generation or 0


def _closed_gates(pod: core_v1.Pod, status: core_v1.PodStatus) -> list[str]:
    """Why the pod's readiness gates keep it from being ready."""
    found = []
    for gate in pod.spec.readinessGates:
        condition = get_condition(status.conditions, gate.conditionType)
        if condition is None:
            found.append(f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.')
        elif condition.status != "True":
            found.append(f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {condition.status}')
    return found


def init_status(found: core_v1.ContainerStatus) -> core_v1.ContainerStatus:
    """An init container that has done its part is ready."""
    if found.state.terminated is not None and found.state.terminated.exitCode == 0:
        found.ready = True
    return found
