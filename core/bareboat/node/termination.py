"""A pod's containers stopped: preStop hooks, the stop signal, and what is left of the grace period; sidecars last, in reverse order.

What comes in: a pod and its grace period. What goes out: nothing runs any more. It may be cancelled when the grace period is shortened and
called again: hooks that have begun are not run twice, and the time that has passed counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.node import hooks
from bareboat.node.pod_state import PodState, sidecars

if TYPE_CHECKING:
    from bareboat.node.services import NodeServices

#: Seconds that a container has at least after its preStop hook.
LEAST = 2.0


class Termination:
    """Of one pod."""

    def __init__(self, node: NodeServices, state: PodState) -> None:
        self._node = node
        self._state = state
        self._began: float | None = None
        self._hooked: set[str] = set()

    async def stop(self, pod: core_v1.Pod, grace: float, only: set[str] | None = None) -> bool:
        """Everything, or ``only`` the containers of these names. False if nothing ran."""
        now = self._node.clock.monotonic()
        if self._began is None:
            self._began = now
        deadline = self._began + grace
        alive = {name: found for name, found in self._state.alive().items() if only is None or name in only}
        late = [c.name for c in sidecars(pod) if c.name in alive]
        stopped = {name: asyncio.Event() for name in alive}

        async def stop(name: str, found: cri.Container) -> None:
            try:
                await self._one(pod, name, found, deadline, _before(name, late, stopped))
            finally:
                stopped[name].set()

        try:
            async with asyncio.TaskGroup() as group:
                for name, found in alive.items():
                    group.create_task(stop(name, found))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._began = None
        return bool(alive)

    async def _one(self, pod: core_v1.Pod, name: str, found: cri.Container, deadline: float, before: list[asyncio.Event]) -> None:
        container = next((c for c in [*pod.spec.containers, *pod.spec.initContainers] if c.name == name), None)
        hooked = container is not None and container.lifecycle is not None and container.lifecycle.preStop is not None
        least = LEAST if hooked and self._left(deadline) > 0 else 0.0
        if found.id not in self._hooked:
            self._hooked.add(found.id)
            self._node.events.event(pod, "Normal", "Killing", f"Stopping container {name}")
            if container is not None:
                await hooks.pre_stop(self._node, pod, container, found, self._state.address, self._left(deadline))
        await self._turn(before, self._left(deadline))
        await self._node.runtime.stop_container(found.id, max(least, self._left(deadline)))

    async def _turn(self, before: list[asyncio.Event], patience: float) -> None:
        """Until the others have stopped, or there is no time left."""
        if not before or patience <= 0:
            return
        try:
            async with asyncio.timeout(patience):
                for event in before:
                    await event.wait()
        except TimeoutError:
            return

    def _left(self, deadline: float) -> float:
        return deadline - self._node.clock.monotonic()


def _before(name: str, late: list[str], stopped: dict[str, asyncio.Event]) -> list[asyncio.Event]:
    """Those that go first: a sidecar waits for everything that started after it."""
    if name not in late:
        return []
    after = late[late.index(name) + 1 :]
    return [event for other, event in stopped.items() if other in after or other not in late]
