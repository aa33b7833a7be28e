"""One pod's worker: level-triggered, it looks at the pod and at the runtime and takes the steps that are missing.

Order: volumes, sandbox, network, containers; then probes and restarts; at the end graceful termination and the removal of everything. A
worker that starts in a new process finds what runs and goes on from there. The steps themselves are in ``sandboxing``, ``containers``,
``termination`` and ``reporting``; here is which of them comes next, and what interrupts them.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from bareboat.base.tasks import Tasks
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.models.host_ports import host_ports
from bareboat.models.status import ApiError, NotFound
from bareboat.node import admission, restarts, status, translation
from bareboat.node.containers import RESYNC, RETRY, Containers
from bareboat.node.image_volumes import mount_image
from bareboat.node.interruption import Interrupted, unless
from bareboat.node.monitoring import Monitors
from bareboat.node.mount_errors import MountFailed, NotYet
from bareboat.node.pod_files import PodFiles
from bareboat.node.pod_state import PodState
from bareboat.node.reporting import Reporting
from bareboat.node.sandboxing import Sandboxing
from bareboat.node.services import NodeServices
from bareboat.node.termination import Termination
from bareboat.node.volumes import Volumes, refresh_after

log = logging.getLogger("bareboat.node")
#: Seconds between the end of a pod and that of its processes when its object is gone already.
GONE_GRACE = 1.0
ENDED = ("Succeeded", "Failed")


class PodWorker:
    """``poke`` makes it look again; ``run`` ends when the pod is gone."""

    def __init__(self, node: NodeServices, key: str, uid: str) -> None:
        self.key = key
        self.uid = uid
        self._node = node
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._state = PodState(key, uid)
        self._files = PodFiles(node.pod_directory(uid), node.log_directory(key, uid))
        self._volumes = Volumes(node.pod_directory(uid), node.find, node.token, node.allocatable, self._mount_image, node.storage)
        self._monitors = Monitors(node, self._tasks, self.poke)
        self._sandboxing = Sandboxing(node, self._state, self._files, self._observe)
        self._containers = Containers(node, self._state, self._files, self._volumes, self._monitors, self._observe)
        self._termination = Termination(node, self._state)
        self._reporting = Reporting(node, self._state, self._containers.resizing)
        self._last_pod: core_v1.Pod | None = None
        self._admitted = False
        self._evicted = ""

    def evict(self, message: str) -> None:
        """The node needs what the pod has."""
        self._evicted = message
        self.poke()

    def poke(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        async with self._tasks:
            try:
                await self._run()
            finally:
                self._node.allocations.forget(self.uid)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait = await self._sync()
            except (DriverError, MountFailed, ApiError) as error:
                self._complain(error)
                wait = RETRY
            except Interrupted:
                wait = 0.0
            except Exception:
                log.exception("pod %s failed", self.key)
                wait = RETRY
            if wait is None:
                return
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _sync(self) -> float | None:
        """Seconds until the next look, None when the pod is gone."""
        pod = self._pod()
        await self._observe(pod)
        if pod is None:
            await self._remove_everything(self._last_pod, GONE_GRACE)
            return None
        self._last_pod = pod
        if pod.metadata.deletionTimestamp:
            await self._terminate(pod)
            return None
        if pod.status.phase in ENDED:
            await self._finish(pod)
            return RESYNC
        refused = await self._refusal(pod)
        if refused is not None:
            await self._refuse(pod, *refused)
            return RESYNC
        return await self._live(pod)

    async def _live(self, pod: core_v1.Pod) -> float:
        """Bring it up, as long as it may live."""
        left = restarts.deadline_left(pod, self._node.clock.now().timestamp())
        if left is not None and left <= 0:
            await self._fail(pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            return RESYNC
        if self._evicted:
            await self._fail(pod, "Evicted", self._evicted)
            return RESYNC
        try:
            async with asyncio.timeout(left):
                wait = await unless(self._is_going, self._wake, self._bring_up(pod))
        except TimeoutError:
            return 0.0
        return wait if left is None else min(wait, left)

    async def _bring_up(self, pod: core_v1.Pod) -> float:
        self._containers.resizing.allocate(pod)
        try:
            for stale in await self._volumes.set_up(pod):
                self._complain(stale)
            wait = await self._containers.bring_up(pod) if await self._sandboxing.ensure(pod) else RESYNC
        except (DriverError, MountFailed):
            await self._reporting.write(pod, self._reporting.compose(pod))
            raise
        found = self._reporting.compose(pod)
        if found.phase in ENDED:
            await self._end(pod)
        else:
            await self._reporting.write(pod, found)
        return min(wait, refresh_after(pod))

    async def _end(self, pod: core_v1.Pod) -> None:
        """What still runs beside the containers that have ended stops, and then the phase is told."""
        await self._stop(pod, translation.grace_of(pod))
        self._containers.read_messages(pod)
        await self._sandboxing.release()
        await self._tell_end(pod, self._reporting.compose(pod))

    async def _tell_end(self, pod: core_v1.Pod, found: core_v1.PodStatus) -> None:
        """Who hears of it may have what the pod had: it is given back before."""
        self._node.allocations.forget(self.uid)
        await self._reporting.write(pod, found)

    async def _finish(self, pod: core_v1.Pod) -> None:
        """Of a pod that has ended nothing stays but logs and what the runtime remembers."""
        self._node.allocations.forget(self.uid)
        if self._state.alive():
            await self._stop(pod, 0.0)
        await self._sandboxing.release()
        await self._volumes.release()

    async def _fail(self, pod: core_v1.Pod, reason: str, message: str) -> None:
        self._event(pod, "Warning" if self._evicted else "Normal", reason, message)
        await self._stop(pod, 0.0 if self._evicted else translation.grace_of(pod))
        self._containers.read_messages(pod)
        await self._sandboxing.release()
        found = self._reporting.compose(pod, failed=(reason, message), over=True)
        if self._evicted:
            status.disrupted(pod, found, message, self._node.clock.timestamp())
        await self._tell_end(pod, found)

    async def _refusal(self, pod: core_v1.Pod) -> tuple[str, str] | None:
        """Asked once, before anything of the pod is here."""
        if self._admitted:
            return None
        new = not self._state.newest() and self._state.sandbox is None and not pod.status.containerStatuses
        node = self._node.this_node() or core_v1.Node()
        refused = admission.refusal(pod, node, self._node.allocations) if new else None
        if new and refused is None and self._node.memory_is_short():
            refused = admission.under_pressure(pod)
        if refused is not None and refused[0] in admission.OF_NODE:
            node = await self._node.client.get(core_v1.Node, self._node.config.name)
            refused = admission.refusal(pod, node, self._node.allocations)
        self._admitted = refused is None
        if self._admitted:
            self._node.allocations.claim(self.uid, host_ports(pod))
        return refused

    async def _refuse(self, pod: core_v1.Pod, reason: str, message: str) -> None:
        self._event(pod, "Warning", reason, message)
        found = core_v1.PodStatus(phase="Failed", reason=reason, message=f"Pod was rejected: {message}")
        found.startTime, found.qosClass = self._node.clock.timestamp(), pod.status.qosClass
        found.conditions, found.observedGeneration = pod.status.conditions, pod.metadata.generation or 0
        await self._reporting.write(pod, found)

    async def _terminate(self, pod: core_v1.Pod) -> None:
        """Stop gracefully, tell the last state, remove everything, then let the object go. A shorter grace period takes effect at once."""
        self._monitors.only_readiness()
        pod = await self._stop_watching(pod)
        await self._tasks.cancel()
        self._containers.read_messages(pod)
        await self._sandboxing.release()
        if pod.status.phase not in ENDED:
            await self._reporting.write(pod, self._reporting.compose(pod, over=True))
        await self._remove_everything(pod, 0.0)
        try:
            await self._node.client.delete(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, grace_seconds=0, uid=self.uid)
        except NotFound:
            return

    async def _stop_watching(self, pod: core_v1.Pod) -> core_v1.Pod:
        """Stop everything, telling what happens meanwhile. The pod as it was last."""
        while True:
            grace = _grace(pod)
            working = asyncio.ensure_future(self._stop(pod, grace))
            try:
                while not working.done():
                    await self._tell(pod)
                    await self._woken_or(working)
                    now = self._pod()
                    pod = now or pod
                    if now is None or _grace(now) < grace:
                        break
                else:
                    working.result()
                    return pod
            finally:
                working.cancel()
                await asyncio.wait((working,))
            if now is None:
                return pod

    async def _woken_or(self, working: asyncio.Future[None]) -> None:
        waking = asyncio.ensure_future(self._wake.wait())
        await asyncio.wait((working, waking), return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()
        self._wake.clear()

    async def _tell(self, pod: core_v1.Pod) -> None:
        """The status of a pod that is being stopped: it has not ended before everything has."""
        if pod.status.phase in ENDED:
            return
        await self._observe(pod)
        found = self._reporting.compose(pod)
        if found.phase in ENDED:
            found.phase = pod.status.phase
        await self._reporting.write(pod, found)

    async def _stop(self, pod: core_v1.Pod, grace: float) -> None:
        if await self._termination.stop(pod, grace):
            await self._node.runtime_state.refresh()
            await self._observe(pod)

    async def _remove_everything(self, pod: core_v1.Pod | None, grace: float) -> None:
        await self._tasks.cancel()
        if pod is not None:
            await self._stop(pod, grace)
        await self._sandboxing.remove_all()
        await self._volumes.tear_down()
        self._files.remove_logs()
        await self._node.runtime_state.refresh()

    async def _mount_image(self, pod: core_v1.Pod, volume: core_v1.Volume, path: Path) -> None:
        await mount_image(self._node, pod, volume, path, self._event)

    def _pod(self) -> core_v1.Pod | None:
        return self._node.pod(self.key, self.uid)

    def _is_going(self) -> bool:
        pod = self._pod()
        return pod is None or pod.metadata.deletionTimestamp is not None or self._evicted != "" or _deadline_moved(pod, self._last_pod)

    async def _observe(self, pod: core_v1.Pod | None) -> None:
        """What the runtime has of this pod."""
        sandboxes, containers = await self._node.runtime_state.of(self.uid)
        self._state.observe(pod, sandboxes, containers)
        self._monitors.prune({c.id for c in containers if c.state == "RUNNING"})

    def _event(self, pod: core_v1.Pod, kind: str, reason: str, message: str) -> None:
        self._node.events.event(pod, kind, reason, message)  # type: ignore[arg-type]

    def _complain(self, error: Exception) -> None:
        if isinstance(error, MountFailed) and not isinstance(error, NotYet) and self._last_pod is not None:
            self._event(self._last_pod, "Warning", "FailedMount", str(error))
        log.warning("pod %s: %s", self.key, error)


def _deadline_moved(pod: core_v1.Pod, before: core_v1.Pod | None) -> bool:
    return before is not None and pod.spec.activeDeadlineSeconds != before.spec.activeDeadlineSeconds


def _grace(pod: core_v1.Pod) -> float:
    """Of a pod that is being deleted."""
    seconds = pod.metadata.deletionGracePeriodSeconds
    return translation.grace_of(pod) if seconds is None else float(seconds)
