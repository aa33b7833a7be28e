"""The agent of one node: registers it, runs a worker per pod, keeps its network, and cleans up what has no pod any more.

What comes in: pods bound to the node, through its client. What goes out: calls of the node's drivers, and status. Several
agents live in one process; nothing is global.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.tasks import Tasks, supervise
from bareboat.client.client import Client
from bareboat.contracts.cni import NetworkDriver
from bareboat.contracts.contributions import NodeService
from bareboat.contracts.cri import RuntimeDriver
from bareboat.contracts.csi import VolumeDriver
from bareboat.contracts.errors import DriverError
from bareboat.contracts.netpolicy import NetworkPolicyDriver
from bareboat.contracts.proxy import ProxyDriver
from bareboat.models import core_v1
from bareboat.models.status import ApiError
from bareboat.node.config import NodeConfig
from bareboat.node.contributed import ContributedServices
from bareboat.node.dns.responder import Responder
from bareboat.node.dns.zone import Zone, dns_address
from bareboat.node.image_face import ImageFace
from bareboat.node.log_rotation import LogRotation
from bareboat.node.machine import look
from bareboat.node.policies.watching import PolicyWatcher
from bareboat.node.pressure import Pressure
from bareboat.node.proxying import NodeNetwork
from bareboat.node.registration import Registration
from bareboat.node.retention import Disk, Retention
from bareboat.node.runtime_state import RuntimeState
from bareboat.node.runtimes import combined
from bareboat.node.services import NodeServices
from bareboat.node.stats import NodeStats
from bareboat.node.storage.registering import Registering
from bareboat.node.worker import PodWorker
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory

log = logging.getLogger("bareboat.node")
#: Seconds between looks for volumes that nobody uses any more.
SWEEP_EVERY = 60.0


class NodeAgent:
    """``runtimes`` by RuntimeClass handler, "" the default; ``storage`` by driver name. Who opened the drivers closes them."""

    def __init__(
        self,
        config: NodeConfig,
        client: Client,
        runtimes: Mapping[str, RuntimeDriver],
        network: NetworkDriver | None,
        proxy: ProxyDriver | None,
        policies: NetworkPolicyDriver | None = None,
        policy_client: Client | None = None,
        *,
        clock: Clock,
        ids: Ids,
        state_dir: Path,
        storage: Mapping[str, VolumeDriver] | None = None,
    ) -> None:
        self.config = config
        self._client = client
        self._state_dir = state_dir
        self._runtime = combined(runtimes)
        self._network = network
        self._clock = clock
        self._ids = ids
        self._informers = InformerFactory(client)
        self._pods = self._informers.of(core_v1.Pod, fields=f"spec.nodeName={config.name}")
        self._events = EventRecorder(client, "kubelet", clock, ids, host=config.name)
        self._state = RuntimeState(self._runtime, clock, self._runtime_changed)
        services = self._informers.of(core_v1.Service)
        self.services = NodeServices(
            config,
            client,
            self._runtime,
            network,
            self._state,
            self._pods,
            services,
            clock,
            self._events,
            state_dir,
            runtimes,
            storage or {},
        )
        self.images = ImageFace(self._runtime, state_dir)
        self.stats = NodeStats(self._runtime, self._state, clock, lambda: look(state_dir))
        self._node_network = NodeNetwork(config, network, proxy, self._informers, clock)
        self._policies = (
            None if policies is None else PolicyWatcher(config.name, config.service_cidr, policies, policy_client or client, clock)
        )
        self.services.this_node = self._node_network.node
        self._pressure = Pressure(self.stats.current, self._pods.list, self._evict, clock)
        self.services.memory_is_short = lambda: self._pressure.memory
        self._zone = Zone(config.domain, self._informers) if proxy is not None and self._runtime.capabilities.reachable else None
        self._workers: dict[str, PodWorker] = {}
        self._tasks = Tasks()
        self._ready = asyncio.Event()
        #: Services of plugins; before ``run``.
        self.contributed: list[NodeService] = []

    async def ready(self) -> None:
        """Until the node is registered and its pods are known."""
        await self._ready.wait()

    def pods(self) -> list[core_v1.Pod]:
        return self._pods.list()

    @property
    def workers(self) -> int:
        """How many pods are looked after."""
        return len(self._workers)

    async def run(self) -> None:
        """Until cancelled. Containers keep running."""
        registration = Registration(self.config, self._client, self._runtime, self._network, self._clock, await self._version())
        registration.memory_is_short = self.services.memory_is_short
        registration.known = self._node_network.node
        if self._policies is not None:
            registration.policies = self._policies.health
        registration.volumes_in_use = self.services.storage.in_use
        self.services.allocatable.update(registration.capacity)
        await self._register(registration)
        async with self._tasks:
            for name, service in (
                *self._dns(),
                ("informers", self._informers.run),
                ("events", self._events.run),
                ("lease", registration.run_lease),
                ("network", self._node_network.run),
                *([("network policies", self._policies.run)] if self._policies is not None else []),
                ("runtime", self._state.run),
                ("status", registration.run_status),
                ("stats", self.stats.run),
                ("retention", self._retention().run),
                *self._storage(),
                *([("pressure", self._pressure.run)] if self._runtime.capabilities.reachable else []),
                ("log rotation", LogRotation(self._runtime, self._clock).run),
                *([("contributed services", self._contributed().run)] if self.contributed else []),
            ):
                self._tasks.spawn(supervise(f"{self.config.name} {name}", service, self._clock, Backoff(1.0, 30.0)), name=name)
            await self._pods.synced()
            await self._node_network.ready.wait()
            await self._drivers_answer(registration)
            self._pods.on_change(self._pod_changed)
            self._ready.set()
            await asyncio.Event().wait()

    async def _version(self) -> str:
        """Of the runtime as Nodes show it; "" while it does not answer."""
        try:
            version = await self._runtime.version()
            await self.services.handlers.learn()
        except DriverError as error:
            log.warning("node %s: the runtime does not answer: %s", self.config.name, error)
            return ""
        return f"{version.runtime_name}://{version.runtime_version}"

    async def _drivers_answer(self, registration: Registration) -> None:
        """Until the drivers tell what they have, the Node says why it is not Ready, and no pod is touched."""
        backoff = Backoff(0.5, 10.0)
        while True:
            try:
                registration.runtime_version = registration.runtime_version or await self._version()
                await registration.write_status()
                await self._clean_up()
            except DriverError as error:
                log.warning("node %s cannot begin: %s", self.config.name, error)
                await self._clock.sleep(backoff.next())
            else:
                return

    def _dns(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """The node's name server, where pods have a network of their own. A node that cannot have one has pods that ask its own."""
        if self._zone is None:
            return []
        responder = Responder(self.config, self._zone, self._state_dir)
        try:
            responder.bind()
        except OSError as error:
            log.warning("node %s has no name server for names of the cluster: %s", self.config.name, error)
            return []
        self.config.dns_servers = (dns_address(self.config.service_cidr),)
        self._node_network.dns_port = responder.port
        return [("dns", responder.run)]

    def _storage(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Where there are storage drivers, or were."""
        storage = self.services.storage
        register = Registering(self.config.name, self._client, storage.drivers, self._clock)
        return [*([("storage drivers", register.run)] if storage.drivers else []), ("volumes", self._sweep_volumes)]

    async def _sweep_volumes(self) -> None:
        """Once all pods are known, and now and then: volumes of pods that went while nobody looked."""
        await self._ready.wait()
        while True:
            alive = {p.metadata.uid for p in self._pods.list()} | set(self._workers)
            await self.services.storage.sweep(alive, self._state_dir / "pods")
            await self._clock.sleep(SWEEP_EVERY)

    def _contributed(self) -> ContributedServices:
        name = self.config.name
        node = core_v1.ObjectReference(kind="Node", apiVersion="v1", name=name, uid=name)
        return ContributedServices(
            self.contributed,
            name,
            self._client,
            self._clock,
            self._state_dir,
            lambda reason, message: self._events.event(node, "Warning", reason, message),
        )

    def _retention(self) -> Retention:
        name = self.config.name
        node = core_v1.ObjectReference(kind="Node", apiVersion="v1", name=name, uid=name)
        return Retention(
            self._runtime,
            self._clock,
            lambda: Disk.of(self._state_dir),
            lambda reason, message: self._events.event(node, "Warning", reason, message),
        )

    async def _register(self, registration: Registration) -> None:
        backoff = Backoff(0.1, 10.0)
        while True:
            try:
                await registration.register()
            except ApiError as error:
                wait = backoff.next()
                log.warning("node %s not registered: %s; again in %.1f s", self.config.name, error, wait)
                await self._clock.sleep(wait)
            else:
                return

    async def _clean_up(self) -> None:
        """Workers for pods that are gone but still have something here; attachments without a sandbox."""
        await self._state.refresh()
        known = {p.metadata.uid for p in self._pods.list()}
        for uid in self._state.uids() - known:
            sandboxes, _ = await self._state.of(uid)
            if sandboxes:
                config = sandboxes[0].config
                self._start(f"{config.namespace}/{config.name}", uid)
        if self._network is not None:
            alive = [s.id for uid in self._state.uids() for s in (await self._state.of(uid))[0]]
            await self._network.gc(frozenset(alive))

    def _pod_changed(self, key: str, old: bytes | None, new: bytes | None) -> None:
        del old
        pod = self._pods.get(key) if new is not None else None
        if pod is not None and pod.metadata.uid not in self._workers:
            self._start(key, pod.metadata.uid)
        for worker in list(self._workers.values()):
            if worker.key == key:
                worker.poke()

    def _runtime_changed(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.poke()

    def _evict(self, pod: core_v1.Pod, message: str) -> None:
        worker = self._workers.get(pod.metadata.uid)
        if worker is not None:
            worker.evict(message)

    def _start(self, key: str, uid: str) -> None:
        worker = PodWorker(self.services, key, uid)
        self._workers[uid] = worker

        async def run() -> None:
            try:
                await worker.run()
            finally:
                self._workers.pop(uid, None)

        self._tasks.spawn(run(), name=f"pod-{key}")
