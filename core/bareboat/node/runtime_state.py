"""What the runtime has, shared by all workers of a node: listed once a second and whenever something may have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.node.config import POD_UID

log = logging.getLogger("bareboat.node")
RELIST = 1.0


class RuntimeState:
    """``changed(uid)`` is called for every pod whose containers or sandboxes look different than before."""

    def __init__(self, runtime: cri.RuntimeDriver, clock: Clock, changed: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._changed = changed
        self._sandboxes: dict[str, list[cri.Sandbox]] = {}
        self._containers: dict[str, list[cri.Container]] = {}
        self._listed = False
        self._wake = asyncio.Event()
        self._listing: asyncio.Lock = asyncio.Lock()
        #: What was seen to run since this agent began, and the lists that it took to see it.
        self.started_sandboxes = self.started_containers = self.relists = 0
        self.relist_seconds = 0.0

    async def of(self, uid: str) -> tuple[list[cri.Sandbox], list[cri.Container]]:
        """Of one pod."""
        if not self._listed:
            await self.refresh()
        return self._sandboxes.get(uid, []), self._containers.get(uid, [])

    def uids(self) -> set[str]:
        return {*self._sandboxes, *self._containers}

    async def refresh(self) -> None:
        """List now."""
        began = self._clock.monotonic()
        async with self._listing:
            sandboxes = await self._runtime.list_pod_sandbox()
            containers = await self._runtime.list_containers()
        owner = {s.id: s.config.uid for s in sandboxes}
        by_uid: dict[str, list[cri.Sandbox]] = {}
        for sandbox in sandboxes:
            by_uid.setdefault(sandbox.config.uid, []).append(sandbox)
        grouped: dict[str, list[cri.Container]] = {}
        for container in containers:
            uid = owner.get(container.sandbox_id) or container.config.labels.get(POD_UID, "")
            grouped.setdefault(uid, []).append(container)
        before = (self._sandboxes, self._containers)
        if self._listed:
            self.started_sandboxes += len(_ids(by_uid, "READY") - _ids(before[0], "READY"))
            self.started_containers += len(_ids(grouped, "RUNNING") - _ids(before[1], "RUNNING"))
        self.relists += 1
        self.relist_seconds += self._clock.monotonic() - began
        self._sandboxes, self._containers, self._listed = by_uid, grouped, True
        for uid in {*by_uid, *grouped, *before[0], *before[1]}:
            if _look(by_uid.get(uid), grouped.get(uid)) != _look(before[0].get(uid), before[1].get(uid)):
                self._changed(uid)

    async def run(self) -> None:
        """Until cancelled: relist every second, at once when the driver says that something changed."""
        async with asyncio.TaskGroup() as group:
            if isinstance(self._runtime, cri.Events):
                group.create_task(self._listen(self._runtime))
            while True:
                try:
                    await self.refresh()
                except DriverError as error:
                    log.warning("the runtime cannot be listed: %s", error)
                try:
                    async with asyncio.timeout(RELIST):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                self._wake.clear()

    async def _listen(self, runtime: cri.Events) -> None:
        while True:
            try:
                async for _ in runtime.events():
                    self._wake.set()
            except DriverError as error:
                log.warning("the runtime's events failed: %s", error)
            await self._clock.sleep(RELIST)


def _ids(found: Mapping[str, Sequence[cri.Sandbox | cri.Container]], state: str) -> set[str]:
    return {o.id for listed in found.values() for o in listed if o.state == state}


def _look(sandboxes: list[cri.Sandbox] | None, containers: list[cri.Container] | None) -> Any:
    return (
        sorted((s.id, s.state) for s in sandboxes or ()),
        sorted((c.id, c.state, c.exit_code) for c in containers or ()),
    )
