"""Services of plugins, run beside the node's own: each in a task of its own, begun again after a crash, told as an Event of the Node.

In: what ``bareboat_node_services`` returned. Out: as long as ``run`` runs, so do they. What a service leaves running when it crashes is its
own to end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.base.tasks import Tasks
from bareboat.client.client import Client
from bareboat.contracts.contributions import NodeService
from bareboat.contracts.driver import DriverClock

log = logging.getLogger("bareboat.node")
Complain = Callable[[str, str], None]


class Context:
    """See contracts.contributions.NodeContext."""

    def __init__(self, node_name: str, client: Client, clock: Clock, state_dir: Path, name: str) -> None:
        self.node_name = node_name
        self.client = client
        self.clock: DriverClock = clock
        self.log = logging.getLogger(f"bareboat.service.{name}")
        self.state_dir = state_dir / "services" / name
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


class ContributedServices:
    """Of one node."""

    def __init__(
        self, services: Sequence[NodeService], node: str, client: Client, clock: Clock, state_dir: Path, complain: Complain
    ) -> None:
        self._services = list(services)
        self._contexts = {s.name: Context(node, client, clock, state_dir, s.name) for s in services}
        self._clock = clock
        self._complain = complain

    async def run(self) -> None:
        """Until cancelled."""
        async with Tasks() as tasks:
            running = [tasks.spawn(self._keep(service), name=f"service {service.name}") for service in self._services]
            for task in running:
                await task

    async def _keep(self, service: NodeService) -> None:
        backoff = Backoff(1.0, 60.0)
        while True:
            try:
                await service.run(self._contexts[service.name])
            except Exception as error:
                log.exception("node service %s crashed", service.name)
                self._complain("NodeServiceFailed", f"service {service.name}: {type(error).__name__}: {error}")
            else:
                log.info("node service %s has ended", service.name)
                return
            await self._clock.sleep(backoff.next())
