"""The nodes of a world: the real node agent over drivers that are data, in this process, without root.

In: a name and a size. Out: a Node that gets Ready, runs pods, and can be lost: its agent falls silent, as of a machine whose power
went. The drivers are the plugin ``fake`` of each contract (distribution bareboat-cri-fake), or those that a test hands over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.base.tasks import Tasks
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1
from bareboat.models.status import BadRequest, NotFound
from bareboat.node.agent import NodeAgent
from bareboat.node.config import CONTAINER_NAME, NodeConfig
from bareboat.node.logs import LogOptions, read
from bareboat.plugins.inventory import DRIVER_GROUPS
from bareboat.plugins.loader import Choice, Loader
from bareboat.testing.host import FakeHost
from bareboat.testing.world.plane import SERVICE_CIDR, Plane

Drivers = Callable[[FakeHost], Mapping[str, Any]]


def fake_drivers(host: FakeHost) -> Mapping[str, Any]:
    """By contract word (``runtime``, ``network``). Raises PluginErrors if bareboat-cri-fake is not installed."""
    wanted = [(DRIVER_GROUPS["runtime"], Choice(use="fake", options={"persist": False})), (DRIVER_GROUPS["network"], Choice(use="fake"))]
    runtime, network = Loader().drivers(wanted)
    return {"runtime": runtime.cls(runtime.options, host), "network": network.cls(network.options, host)}


class WorldNode:
    """One node. ``drivers`` are there for tests that look behind the API."""

    def __init__(
        self,
        plane: Plane,
        directory: Path,
        name: str,
        number: int,
        drivers: Drivers,
        labels: Mapping[str, str],
        capacity: Mapping[str, int],
    ) -> None:
        self.name = name
        self._plane = plane
        self._directory = directory / name
        host = FakeHost(self._directory, node_name=name, clock=plane.clock, threads=False)
        self.drivers = dict(drivers(host))
        self._config = NodeConfig(
            name=name,
            internal_ip=f"192.0.2.{10 + number % 240}",
            cluster_cidr="10.244.0.0/16",
            service_cidr=SERVICE_CIDR,
            labels=dict(labels),
            cpu=capacity.get("cpu", 8),
            memory=capacity.get("memory", 32 << 30),
            max_pods=capacity.get("pods", 110),
        )
        self._tasks: Tasks | None = None
        self.agent: NodeAgent | None = None

    @property
    def lost(self) -> bool:
        return self._tasks is None

    async def start(self) -> None:
        """The agent begins, or begins again."""
        if self._tasks is not None:
            return
        for driver in self.drivers.values():
            await driver.open()
        user = UserInfo(name=f"system:node:{self.name}", groups=("system:nodes", "system:authenticated"))
        self.agent = NodeAgent(
            self._config,
            self._plane.client(user, "kubelet"),
            {"": self.drivers["runtime"]},
            self.drivers.get("network"),
            self.drivers.get("proxy"),
            clock=self._plane.clock,
            ids=self._plane.ids,
            state_dir=self._directory,
        )
        self.agent.contributed = self._plane.node_services()
        self._tasks = Tasks()
        self._tasks.spawn(self.agent.run(), name=f"agent-{self.name}")

    async def lose(self) -> None:
        """Nothing more is heard of it; its containers go on. ``start`` brings it back."""
        if self._tasks is not None:
            await self._tasks.cancel()
            self._tasks = None

    async def stop(self) -> None:
        await self.lose()
        for driver in self.drivers.values():
            await driver.close()


class Logs:
    """``pods/NAME/log`` straight from the agents of the world."""

    def __init__(self, plane: Plane, nodes: Mapping[str, WorldNode]) -> None:
        self._plane = plane
        self._nodes = nodes
        plane.kernel.service.virtual["core/pods", "log"] = self._answer

    async def _answer(self, op: Operation) -> ApiResponse:
        pod = self._plane.kernel.reader.get(core_v1.Pod, op.info.name, op.info.namespace)
        if pod is None:
            raise NotFound.of("pods", op.info.name)
        return ApiResponse(200, content_type="text/plain", stream=await self.read(pod, op.request.first("container")))

    async def read(self, pod: core_v1.Pod, container: str = "") -> AsyncIterator[bytes]:
        """Raises BadRequest where there is nothing to read yet."""
        node = self._nodes.get(pod.spec.nodeName)
        name = container or pod.spec.containers[0].name
        if node is None or node.agent is None:
            raise BadRequest(f'pod "{pod.metadata.name}" is on no node yet')
        _, found = await node.agent.services.runtime_state.of(pod.metadata.uid)
        attempts = [c for c in found if c.config.labels.get(CONTAINER_NAME, c.config.name) == name and c.started_at]
        if not attempts:
            raise BadRequest(f'container "{name}" in pod "{pod.metadata.name}" is waiting to start')
        path = Path(max(attempts, key=lambda c: c.created_at).config.log_path)
        return read(path, LogOptions(), lambda: False)
