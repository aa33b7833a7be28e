"""A machine that runs out of memory: the node says so, takes no more pods without requests, and evicts one pod at a time.

What comes in: what the node's pods use, every ten seconds. What goes out: whether there is pressure, and the pod that is to go: first those
that use more than they asked for, of these the least important, of these the one that is furthest above. Disk is ``retention``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from bareboat.base.clock import Clock
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node.allocations import requests_of
from bareboat.node.stats import Snapshot

log = logging.getLogger("bareboat.node")
EVERY = 10.0
#: Bytes that must be available, and seconds for which they must have been before the pressure counts as over.
LEAST, CALM = 100 << 20, 300.0
#: Pods of this priority keep the node going.
CRITICAL = 2_000_000_000

Evict = Callable[[core_v1.Pod, str], None]


class Pressure:
    """Of one node. ``evict(pod, message)`` is told whom, and why."""

    def __init__(
        self, current: Callable[[], Awaitable[Snapshot]], pods: Callable[[], Sequence[core_v1.Pod]], evict: Evict, clock: Clock
    ) -> None:
        self._current = current
        self._pods = pods
        self._evict = evict
        self._clock = clock
        self._last = -CALM

    @property
    def memory(self) -> bool:
        """Now, or not long ago."""
        return self._clock.monotonic() - self._last < CALM

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                self.look(await self._current())
            except DriverError as error:
                log.warning("what the pods use cannot be read: %s", error)

    def look(self, now: Snapshot) -> None:
        available = now.machine.memory_available
        if available >= LEAST:
            return
        self._last = self._clock.monotonic()
        used = {pod.sandbox.config.uid: pod.working_set for pod in now.pods}
        ranked = self._ranked(used)
        if not ranked:
            log.error("memory is short (%d bytes available), and there is no pod that could be evicted", available)
            return
        what = f"Threshold quantity: {LEAST >> 20}Mi, available: {available >> 10}Ki."
        self._evict(ranked[0], f"The node was low on resource: memory. {what} {_asked(ranked[0], used)}")

    def _ranked(self, used: dict[str, int]) -> list[core_v1.Pod]:
        """Whoever goes first is first."""

        def rank(pod: core_v1.Pod) -> tuple[bool, int, int]:
            excess = used[pod.metadata.uid] - requests_of(pod).get("memory", 0)
            return excess <= 0, pod.spec.priority or 0, -excess

        living = [p for p in self._pods() if p.metadata.uid in used and p.status.phase not in ("Succeeded", "Failed")]
        return sorted((p for p in living if (p.spec.priority or 0) < CRITICAL and not p.metadata.deletionTimestamp), key=rank)


def _asked(pod: core_v1.Pod, used: dict[str, int]) -> str:
    request = requests_of(pod).get("memory", 0)
    return f"The pod was using {used[pod.metadata.uid] >> 10}Ki, its request is {request >> 10}Ki. "
