"""The probes of a pod's running containers: their verdicts go into what the worker has observed, and wake it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from bareboat.base.tasks import Tasks
from bareboat.contracts import cri
from bareboat.models import core_v1
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

    def prune(self, alive: set[str]) -> None:
        """Stop what belongs to containers that no longer run."""
        for identity in [i for i in self._running if i not in alive]:
            self._running.pop(identity).cancel()

    def watch(self, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container, seen: Observed, address: str) -> None:
        """Start the container's probes unless they run; without probes it is ready and started at once."""
        if found.id in self._running and not self._running[found.id].done():
            return
        if found.id in self._running:
            return
        if container.startupProbe is None:
            seen.started = True
        if container.readinessProbe is None and container.startupProbe is None:
            seen.ready = True
        work = self._monitor(pod, container, found, seen, address)
        self._running[found.id] = self._tasks.spawn(work, name=f"probes-{container.name}")

    async def _monitor(self, pod: core_v1.Pod, container: core_v1.Container, found: cri.Container, seen: Observed, address: str) -> None:
        def prober(probe: core_v1.Probe) -> Prober:
            async def run(command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
                return await self._node.exec_sync(found.id, command, timeout)

            reachable = self._node.runtime.capabilities.reachable
            return Prober(probe, container, address, run, self._node.clock, reachable=reachable)

        def unhealthy(kind: str, message: str) -> None:
            self._node.events.event(pod, "Warning", "Unhealthy", f"{kind} probe failed: {message}")

        async def kill(kind: str, probe: core_v1.Probe) -> None:
            message = f"Container {container.name} failed {kind.lower()} probe, will be restarted"
            self._node.events.event(pod, "Normal", "Killing", message)
            own, usual = probe.terminationGracePeriodSeconds, pod.spec.terminationGracePeriodSeconds
            await self._node.runtime.stop_container(found.id, float(own if own is not None else 30 if usual is None else usual))
            await self._node.runtime_state.refresh()
            self._poke()

        async def alive(kind: str, probe: core_v1.Probe, once: bool) -> None:
            failed = asyncio.Event()

            def tell(passed: bool, message: str) -> None:
                if not passed:
                    unhealthy(kind, message)
                    failed.set()

            probing = asyncio.ensure_future(prober(probe).run(tell, once=once))
            waiting = asyncio.ensure_future(failed.wait())
            try:
                await asyncio.wait([probing, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                probing.cancel()
                waiting.cancel()
            if failed.is_set():
                await kill(kind, probe)
                raise _Killed

        def readiness(passed: bool, message: str) -> None:
            if not passed:
                unhealthy("Readiness", message)
            if seen.ready != passed:
                seen.ready = passed
                self._poke()

        try:
            if container.startupProbe is not None:
                await alive("Startup", container.startupProbe, once=True)
                seen.started = True
                seen.ready = container.readinessProbe is None
                self._poke()
            async with asyncio.TaskGroup() as group:  # a failed liveness probe ends the other one
                if container.readinessProbe is not None:
                    group.create_task(prober(container.readinessProbe).run(readiness))
                if container.livenessProbe is not None:
                    group.create_task(alive("Liveness", container.livenessProbe, once=False))
        except* _Killed:
            log.debug("container %s was stopped after a failed probe", container.name)


class _Killed(Exception):
    """The container was stopped because a probe failed."""
