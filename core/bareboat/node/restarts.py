"""Which containers of a pod are to run, and which sandboxes still matter. Pure.

What comes in: a pod and the newest attempt of each of its containers, in whatever sandbox it was. What goes out: yes or no. A sandbox that
is lost takes its containers along, but not the memory of them: what ended for good does not run again in the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.times import parse
from bareboat.node import status


def is_due(pod: core_v1.Pod, container: core_v1.Container, last: cri.Container | None) -> bool:
    """Whether a container that does not run is to be started, now or after its back-off."""
    if last is None or last.state != "EXITED":
        return True
    policy = "Always" if status.is_sidecar(container) else pod.spec.restartPolicy
    return policy == "Always" or (policy == "OnFailure" and last.exit_code != 0)


def needs_sandbox(pod: core_v1.Pod, newest: Mapping[str, cri.Container]) -> bool:
    """Not for a pod that has done all it is to do."""
    return not newest or any(is_due(pod, container, newest.get(container.name)) for container in pod.spec.containers)


def past_deadline(pod: core_v1.Pod, now: float) -> bool:
    """Whether it was active for longer than it may be; ``now`` in seconds since the epoch."""
    deadline = pod.spec.activeDeadlineSeconds
    if deadline is None or pod.status.startTime is None:
        return False
    return now > parse(pod.status.startTime).timestamp() + deadline


def superseded(sandboxes: Iterable[cri.Sandbox], newest: Mapping[str, cri.Container]) -> list[cri.Sandbox]:
    """Those that are over and in which no container's newest attempt was."""
    kept = {container.sandbox_id for container in newest.values()}
    return [sandbox for sandbox in sandboxes if sandbox.state != "READY" and sandbox.id not in kept]
