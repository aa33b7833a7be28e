"""Which containers of a pod are to run, and which sandboxes still matter. Pure.

What comes in: a pod and the newest attempt of each of its containers, in whatever sandbox it was. What goes out: yes or no. A sandbox that
is lost takes its containers along, but not the memory of them: what ended for good does not run again in the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.times import parse


def is_due(pod: core_v1.Pod, container: core_v1.Container, last: cri.Container | None) -> bool:
    """Whether a container that does not run is to be started, now or after its back-off."""
    return last is None or last.state != "EXITED" or restarts(pod, container, last.exit_code)


def restarts(pod: core_v1.Pod, container: core_v1.Container, exit_code: int) -> bool:
    """What the container's rules say of the exit code, else its own policy, else the pod's."""
    if any(rule.action == "Restart" and _matches(rule.exitCodes, exit_code) for rule in container.restartPolicyRules):
        return True
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def restarts_init(pod: core_v1.Pod, container: core_v1.Container, exit_code: int) -> bool:
    """An init container that failed is tried again unless somebody says Never."""
    if container.restartPolicy or container.restartPolicyRules:
        return restarts(pod, container, exit_code)
    return pod.spec.restartPolicy != "Never"


def _matches(exit_codes: Any, exit_code: int) -> bool:
    if exit_codes is None:
        return False
    return bool((exit_code in exit_codes.values) == (exit_codes.operator == "In"))


def needs_sandbox(pod: core_v1.Pod, newest: Mapping[str, cri.Container]) -> bool:
    """Not for a pod that has done all it is to do."""
    return not newest or any(is_due(pod, container, newest.get(container.name)) for container in pod.spec.containers)


def deadline_left(pod: core_v1.Pod, now: float) -> float | None:
    """Seconds for which it may still be active, None without a limit; ``now`` in seconds since the epoch."""
    deadline = pod.spec.activeDeadlineSeconds
    if deadline is None or pod.status.startTime is None:
        return None
    return parse(pod.status.startTime).timestamp() + deadline - now


def superseded(sandboxes: Iterable[cri.Sandbox], newest: Mapping[str, cri.Container]) -> list[cri.Sandbox]:
    """Those that are over and in which no container's newest attempt was."""
    kept = {container.sandbox_id for container in newest.values()}
    return [sandbox for sandbox in sandboxes if sandbox.state != "READY" and sandbox.id not in kept]
