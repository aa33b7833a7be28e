"""A pod's status written: composed from what was seen, and sent as a patch of what changed.

What comes in: the pod as the API has it and what its worker saw. What goes out: a strategic merge patch of the agent's own fields and
conditions; what others write into the same status stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.models import core_v1
from bareboat.models.codec import copy, to_tree
from bareboat.models.status import NotFound
from bareboat.node import status
from bareboat.node.pod_state import PodState
from bareboat.node.resizing import Resizing
from bareboat.node.status import Observed
from bareboat.node.status_patch import difference

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

#: Of a container of which nothing is left when its pod ends.
LOST = "The container could not be located when the pod was terminated"


class Reporting:
    """Of one pod."""

    def __init__(self, node: NodeServices, state: PodState, resizing: Resizing) -> None:
        self._node = node
        self._state = state
        self._resizing = resizing
        self._last: Any = None

    async def write(self, pod: core_v1.Pod, found: core_v1.PodStatus) -> None:
        """If it differs from what the API has and from what was written last."""
        before = to_tree(pod.status)
        changed = difference(before, to_tree(found))
        attempt = (pod.metadata.resourceVersion, changed)
        if not changed or attempt == self._last:
            return
        patch = {"metadata": {"uid": self._state.uid}, "status": changed}
        try:
            await self._node.client.patch(
                core_v1.Pod, pod.metadata.name, patch, pod.metadata.namespace, type="strategic", subresource="status"
            )
        except NotFound:
            return
        self._last = attempt

    def compose(self, pod: core_v1.Pod, *, failed: tuple[str, str] | None = None, over: bool = False) -> core_v1.PodStatus:
        """``failed``: the reason and message with which the pod ends; ``over``: it ends, whatever its policy says."""
        now = self._node.clock.timestamp()
        found = copy(pod.status)
        found.observedGeneration = pod.metadata.generation or 0
        found.startTime = found.startTime or now
        self._addresses(found)
        ready_to_run = status.initialized(pod, self._state.seen)
        self._containers(pod, found, initializing=bool(pod.spec.initContainers) and not ready_to_run)
        if over:
            _locate(found)
        found.phase = status.phase(pod, found, ready_to_run=ready_to_run, over=over)
        if failed:
            found.phase = "Failed"
            found.reason, found.message = failed
        status.conditions(pod, found, has_sandbox=self._state.sandbox is not None, is_initialized=ready_to_run, now=now)
        self._resizing.report(pod, found, now)
        return found

    def _addresses(self, found: core_v1.PodStatus) -> None:
        found.hostIP = self._node.config.internal_ip
        found.hostIPs = [core_v1.HostIP(ip=found.hostIP)]
        if self._state.address:
            found.podIP, found.podIPs = self._state.address, [core_v1.PodIP(ip=self._state.address)]

    def _containers(self, pod: core_v1.Pod, found: core_v1.PodStatus, *, initializing: bool) -> None:
        runtime = self._node.handlers.name(self._state.handler())

        def of(container: Any, waits: bool) -> core_v1.ContainerStatus:
            return status.container_status(runtime, container, self._state.seen.get(container.name, Observed()), waits)

        found.containerStatuses = [of(c, initializing) for c in pod.spec.containers]
        found.initContainerStatuses = [status.init_status(of(c, initializing)) for c in pod.spec.initContainers]
        found.ephemeralContainerStatuses = [of(c, False) for c in pod.spec.ephemeralContainers]
        for each in found.ephemeralContainerStatuses:
            each.ready, each.started = False, None


def _locate(found: core_v1.PodStatus) -> None:
    """Nothing waits or runs in a pod that is over."""
    for each in found.containerStatuses:
        if each.state.terminated is None and each.lastState.terminated is None and each.state.running is None:
            ended = core_v1.ContainerStateTerminated(exitCode=137, reason="ContainerStatusUnknown", message=LOST)
            each.state = core_v1.ContainerState(terminated=ended)
        elif each.state.waiting is not None and each.lastState.terminated is not None:
            each.state, each.lastState = each.lastState, core_v1.ContainerState()
