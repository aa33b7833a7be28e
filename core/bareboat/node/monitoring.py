"""The probes of a pod's running containers: their verdicts go into what the worker has observed, and wake it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from bareboat.base.tasks import Tasks
from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.node import hooks
from bareboat.node.probes import Prober

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices
    from bareboat.node.status import Observed

log = logging.getLogger("bareboat.node")


class Monitors:
    """One task per running container."""

    def __init__(self, node: NodeServices, tasks: Tasks, poke: Callable[[], None]) -> None:
        self._node = node
        self._tasks = tasks
        self._poke = poke
        self._running: dict[str, asyncio.Task[None]] = {}
        self._killing = True

    def prune(self, alive: set[str]) -> None:
        """Stop what belongs to containers that no longer run."""
        for identity in [i for i in self._running if i not in alive]:
            self._running.pop(identity).cancel()

    def only_readiness(self) -> None:
        """From now on nothing is killed for a failed probe: the pod is on its way out."""
        self._killing = False

    def watch(self, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container, seen: Observed, address: str) -> None:
        """Start the container's probes unless they have been; without probes it is ready and started at once."""
        if found.id in self._running:
            return
        told = _told(pod, found)
        if told is not None:  # by an agent before this one: nothing has happened to the container since
            seen.started, seen.ready = bool(told.started), told.ready
        if container.startupProbe is None:
            seen.started = True
        if container.readinessProbe is None and container.startupProbe is None:
            seen.ready = True
        work = _Monitor(self._node, pod, container, found, seen, address, self._poke, lambda: self._killing).run()
        self._running[found.id] = self._tasks.spawn(work, name=f"probes-{container.name}")


def _told(pod: core_v1.Pod, found: cri.Container) -> core_v1.ContainerStatus | None:
    """What the API has of this very container."""
    statuses = [*pod.status.containerStatuses, *pod.status.initContainerStatuses]
    return next((s for s in statuses if s.containerID.endswith(f"://{found.id}") and s.state.running is not None), None)


class _Monitor:
    """Of one container: the startup probe, and after it the two others."""

    def __init__(
        self,
        node: NodeServices,
        pod: core_v1.Pod,
        container: core_v1.Container,
        found: cri.Container,
        seen: Observed,
        address: str,
        poke: Callable[[], None],
        killing: Callable[[], bool],
    ) -> None:
        self._node = node
        self._pod = pod
        self._container = container
        self._found = found
        self._seen = seen
        self._address = address
        self._poke = poke
        self._killing = killing

    async def run(self) -> None:
        container, seen = self._container, self._seen
        try:
            if container.startupProbe is not None and not seen.started:
                await self._alive("Startup", container.startupProbe, once=True)
                seen.started = True
                seen.ready = container.readinessProbe is None
                self._poke()
            async with asyncio.TaskGroup() as group:  # a failed liveness probe ends the other one
                if container.readinessProbe is not None:
                    group.create_task(self._prober("Readiness", container.readinessProbe).run(self._readiness))
                if container.livenessProbe is not None:
                    group.create_task(self._alive("Liveness", container.livenessProbe, once=False))
        except* _Killed:
            log.debug("container %s was stopped after a failed probe", container.name)

    def _prober(self, kind: str, probe: core_v1.Probe) -> Prober:
        async def run(command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
            return await self._node.exec_sync(self._found.id, command, timeout)

        reachable = self._node.runtime.capabilities.reachable
        event = self._node.events.event
        return Prober(
            probe,
            self._container,
            self._address,
            run,
            self._node.clock,
            reachable=reachable,
            warn=lambda message: event(self._pod, "Warning", "ProbeWarning", f"{kind} probe warning: {message}"),
            failed=lambda message: event(self._pod, "Warning", "Unhealthy", f"{kind} probe failed: {message}"),
        )

    def _readiness(self, passed: bool, message: str) -> None:
        del message
        if self._seen.ready != passed:
            self._seen.ready = passed
            self._poke()

    async def _alive(self, kind: str, probe: core_v1.Probe, *, once: bool) -> None:
        failed = asyncio.Event()

        def tell(passed: bool, message: str) -> None:
            del message
            if not passed and self._killing():
                failed.set()

        probing = asyncio.ensure_future(self._prober(kind, probe).run(tell, once=once))
        waiting = asyncio.ensure_future(failed.wait())
        try:
            await asyncio.wait([probing, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            probing.cancel()
            waiting.cancel()
        if failed.is_set():
            await self._kill(kind, probe)
            raise _Killed

    async def _kill(self, kind: str, probe: core_v1.Probe) -> None:
        message = f"Container {self._container.name} failed {kind.lower()} probe, will be restarted"
        self._node.events.event(self._pod, "Normal", "Killing", message)
        own, usual = probe.terminationGracePeriodSeconds, self._pod.spec.terminationGracePeriodSeconds
        grace = float(own if own is not None else 30 if usual is None else usual)
        started = self._node.clock.monotonic()
        await hooks.pre_stop(self._node, self._pod, self._container, self._found, self._address, grace)
        left = grace - (self._node.clock.monotonic() - started)
        await self._node.runtime.stop_container(self._found.id, max(0.0, left))
        await self._node.runtime_state.refresh()
        self._poke()


class _Killed(Exception):
    """The container was stopped because a probe failed."""
