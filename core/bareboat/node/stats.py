"""What the pods of a node use now: sampled every ten seconds, so that a rate is there when somebody asks.

In: the runtime's cumulative numbers per container. Out: ``Snapshot``. A container's rate is over its last two samples, or over its life
if it has had only one. Runtimes that cannot tell (no StatsMixin) have pods without numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.node.machine import Machine
from bareboat.node.runtime_state import RuntimeState

log = logging.getLogger("bareboat.node")
EVERY = 10.0
#: Older than this, whoever asks has it read again.
STALE = 5.0
_SECOND = 1_000_000_000


class ContainerUse(msgspec.Struct, frozen=True, kw_only=True):
    """``rate`` in nanoseconds of CPU per second."""

    container: cri.Container
    stats: cri.Stats
    rate: int


class PodUse(msgspec.Struct, frozen=True, kw_only=True):
    """A pod with a sandbox; ``containers`` are those that run and of which something is known."""

    sandbox: cri.Sandbox
    containers: list[ContainerUse]

    @property
    def rate(self) -> int:
        return sum(c.rate for c in self.containers)

    @property
    def cpu_nanos(self) -> int:
        return sum(c.stats.cpu_nanos for c in self.containers)

    @property
    def working_set(self) -> int:
        return sum(c.stats.memory_working_set for c in self.containers)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``window`` is the time that rates are over, in seconds. ``rate``, ``cpu_nanos``, ``working_set`` are the node's."""

    at: datetime
    monotonic: float
    window: float
    pods: list[PodUse]
    machine: Machine
    rate: int
    cpu_nanos: int
    working_set: int


class NodeStats:
    """Of one node. ``look`` gives the machine's numbers, which are the node's unless its pods are data only."""

    def __init__(self, runtime: cri.RuntimeDriver, state: RuntimeState, clock: Clock, look: Callable[[], Machine]) -> None:
        self._runtime = runtime
        self._state = state
        self._clock = clock
        self._look = look
        self._last: Snapshot | None = None
        self._samples: dict[str, cri.Stats] = {}
        self._sampling = asyncio.Lock()
        self.failures = 0

    async def run(self) -> None:
        """Until cancelled. Nodes that are data, of which a process may have thousands, are looked at when somebody asks."""
        if not self._runtime.capabilities.reachable:
            await asyncio.Event().wait()
        while True:
            try:
                await self._sample()
            except DriverError as error:
                self.failures += 1
                log.warning("the runtime's statistics cannot be read: %s", error)
            await self._clock.sleep(EVERY)

    async def current(self) -> Snapshot:
        """At most ``STALE`` seconds old, and with all that runs. Raises DriverError."""
        async with self._sampling:
            last = self._last
            if last is None or self._clock.monotonic() - last.monotonic > STALE or await self._misses(last):
                last = await self._read()
            return last

    async def _misses(self, last: Snapshot) -> bool:
        """A container has started since."""
        if not isinstance(self._runtime, cri.StatsMixin):
            return False
        running = [c.id for uid in self._state.uids() for c in (await self._state.of(uid))[1] if c.state == "RUNNING"]
        return not set(running) <= {c.container.id for p in last.pods for c in p.containers}

    async def _sample(self) -> None:
        async with self._sampling:
            await self._read()

    async def _read(self) -> Snapshot:
        found = {s.id: s for s in await self._runtime.container_stats()} if isinstance(self._runtime, cri.StatsMixin) else {}
        before, self._samples = self._samples, found
        pods = []
        for uid in sorted(self._state.uids()):
            sandboxes, containers = await self._state.of(uid)
            if sandboxes:
                uses = [_use(c, found[c.id], before.get(c.id)) for c in containers if c.id in found and c.state == "RUNNING"]
                pods.append(PodUse(sandbox=max(sandboxes, key=lambda s: s.config.attempt), containers=uses))
        self._last = self._snapshot(pods)
        return self._last

    def _snapshot(self, pods: list[PodUse]) -> Snapshot:
        machine, now, last = self._look(), self._clock.monotonic(), self._last
        window = now - last.monotonic if last is not None else EVERY
        if not self._runtime.capabilities.reachable:  # nodes as data: the machine is not theirs
            rate, cpu, memory = (sum(p.rate for p in pods), sum(p.cpu_nanos for p in pods), sum(p.working_set for p in pods))
        else:
            before = last.cpu_nanos if last is not None else machine.cpu_nanos
            rate, cpu, memory = int((machine.cpu_nanos - before) / max(window, 0.001)), machine.cpu_nanos, machine.working_set
        return Snapshot(
            at=self._clock.now(), monotonic=now, window=window, pods=pods, machine=machine, rate=rate, cpu_nanos=cpu, working_set=memory
        )


def _use(container: cri.Container, now: cri.Stats, before: cri.Stats | None) -> ContainerUse:
    if before is not None and before.timestamp < now.timestamp:
        rate = (now.cpu_nanos - before.cpu_nanos) * _SECOND // (now.timestamp - before.timestamp)
    else:
        rate = now.cpu_nanos * _SECOND // max(now.timestamp - container.started_at, _SECOND)
    return ContainerUse(container=container, stats=now, rate=max(0, rate))
