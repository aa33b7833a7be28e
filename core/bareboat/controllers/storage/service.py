"""The storage controllers of one agent process, for all of its drivers, with an identity of their own.

What comes in: open drivers of a node, a client. What goes out: running controllers per driver. A driver that does not say yet who it is
is asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.tasks import Tasks, supervise
from bareboat.client.client import Client
from bareboat.contracts.csi import NodeInfo, VolumeDriver
from bareboat.contracts.errors import DriverError
from bareboat.controllers.storage.attacher import Attacher
from bareboat.controllers.storage.capacity import Capacities
from bareboat.controllers.storage.provisioner import Provisioner
from bareboat.controllers.storage.resizer import Resizer
from bareboat.controllers.storage.seat import Seat
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory

log = logging.getLogger("bareboat.storage")
CONTROLLERS: tuple[type[Any], ...] = (Provisioner, Attacher, Resizer, Capacities)


class StorageControllers:
    """Of one node. ``run`` until cancelled."""

    def __init__(self, node: str, client: Client, drivers: Mapping[str, VolumeDriver], clock: Clock, ids: Ids) -> None:
        self._node = node
        self._client = client
        self._drivers = drivers
        self._clock = clock
        self._ids = ids
        self._informers = InformerFactory(client)
        self._tasks = Tasks()

    async def run(self) -> None:
        async with self._tasks:
            for driver in self._drivers.values():
                info = await self._introduced(driver)
                seat = Seat(driver, self._node, self._client, self._clock, self._ids, info)
                events = EventRecorder(self._client, f"{seat.name}_{self._node}", self._clock, self._ids, host=self._node)
                context = ControllerContext(self._client, self._informers, self._clock, self._ids, events)
                self._spawn(f"{seat.name} seat", seat.run)
                self._spawn(f"{seat.name} events", events.run)
                for cls in CONTROLLERS:
                    self._spawn(f"{seat.name} {cls.name}", cls(context, seat).run)
            await self._informers.run()

    async def _introduced(self, driver: VolumeDriver) -> NodeInfo:
        backoff = Backoff(1.0, 30.0)
        while True:
            try:
                return await driver.node_get_info()
            except DriverError as error:
                log.warning("storage driver %s is not ready: %s: %s", driver.driver_name, error.reason, error.message)
                await self._clock.sleep(backoff.next())

    def _spawn(self, name: str, service: Any) -> None:
        self._tasks.spawn(supervise(f"{self._node} {name}", service, self._clock, Backoff(1.0, 30.0)), name=name)
