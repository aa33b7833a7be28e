"""The agents of one process: drivers opened, identities issued, the kubelet's API served, one NodeAgent per node.

``teardown`` is the other thing an agent process can do: remove everything that the node's drivers have on the machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.client.client import Client
from bareboat.cluster.driver_host import DriverHost
from bareboat.cluster.file.choices import NodePlugins
from bareboat.cluster.file.shape import ClusterFile, node_of
from bareboat.cluster.hosts import primary_address
from bareboat.cluster.isolation.child import Start
from bareboat.cluster.isolation.driver import isolated
from bareboat.cluster.layout import Layout
from bareboat.cluster.node_identity import NodeIdentity
from bareboat.controllers.buckets.provisioner import BucketProvisioner
from bareboat.controllers.storage.service import StorageControllers
from bareboat.models.bareboat_v1 import PluginSpec
from bareboat.models.scheme import Scheme
from bareboat.node.agent import NodeAgent
from bareboat.node.api import AgentApi
from bareboat.node.config import NodeConfig
from bareboat.node.storage.publishing import NodeStorage
from bareboat.node.volumes import Volumes
from bareboat.plugins.loader import LoadedDriver
from bareboat.plugins.running import guarded
from bareboat.reconcile.election import Election
from bareboat.reconcile.events import EventRecorder
from bareboat.server.listening import Listener


class NodeDrivers:
    """The drivers of one node, created from what the cluster file names."""

    def __init__(self, layout: Layout, node: str, plugins: NodePlugins, clock: SystemClock) -> None:
        self._layout = layout
        self._node = node
        self._clock = clock
        self._hosts: list[DriverHost] = []
        self.runtimes: dict[str, Any] = self._runtimes(plugins.runtimes)
        self.network: Any = self._create(plugins.network)
        self.proxy: Any = self._create(plugins.proxy)
        self.network_policy: Any = self._create(plugins.network_policy) if plugins.network_policy is not None else None
        self.volumes: list[Any] = [self._create(loaded) for loaded in plugins.storage]
        self.buckets: list[Any] = [self._create(loaded) for loaded in plugins.buckets]

    def _runtimes(self, plugins: Mapping[str, LoadedDriver]) -> dict[str, Any]:
        """By handler. One entry of the file may serve two handlers; two entries of one plugin are two drivers, and share nothing."""
        made: dict[int, Any] = {}
        names: set[str] = set()
        for handler, loaded in plugins.items():
            if id(loaded) not in made:
                made[id(loaded)] = self._create(loaded, handler if loaded.plugin.name in names else "")
                names.add(loaded.plugin.name)
        return {handler: made[id(loaded)] for handler, loaded in plugins.items()}

    def _create(self, loaded: LoadedDriver, handler: str = "") -> Any:
        contract = loaded.plugin.group.split(".")[1]
        name = "-".join(filter(None, (contract, loaded.plugin.name, handler)))
        directory = self._layout.node(self._node) / "drivers" / name
        instance = self._layout.instance(self._node)
        if handler:
            instance = hashlib.sha256(f"{instance}/{handler}".encode()).hexdigest()[: len(instance)]
        host = DriverHost(name=name, node_name=self._node, instance=instance, state_dir=directory, clock=self._clock)
        self._hosts.append(host)
        plugin = loaded.plugin
        label = f"{contract} {plugin.name} ({plugin.distribution} {plugin.version})"
        if loaded.isolate:
            start = Start(
                target=plugin.target,
                options=msgspec.to_builtins(loaded.options),
                name=name,
                node=self._node,
                instance=instance,
                state=str(directory),
            )
            return guarded(loaded.cls, label, lambda: isolated(loaded.cls, start), inline=True)
        return guarded(loaded.cls, label, lambda: loaded.cls(loaded.options, host))

    @property
    def all(self) -> list[Any]:
        single = [self.network, self.proxy, self.network_policy]
        found = [*dict.fromkeys(self.runtimes.values()), *single, *self.volumes, *self.buckets]
        return [driver for driver in found if driver is not None]

    @property
    def storage(self) -> dict[str, Any]:
        """By the name that volumes call them; of an open driver, since a proxy learns its name then."""
        return {driver.driver_name: driver for driver in self.volumes}

    async def open(self) -> None:
        for driver in self.all:
            await driver.open()

    async def close(self) -> None:
        for driver in self.all:
            await driver.close()
        for host in self._hosts:
            host.close()

    async def teardown(self) -> None:
        """Every sandbox, attachment and rule of this node."""
        for runtime in dict.fromkeys(self.runtimes.values()):
            for sandbox in await runtime.list_pod_sandbox():
                await runtime.stop_pod_sandbox(sandbox.id)
                await runtime.remove_pod_sandbox(sandbox.id)
        await self.network.teardown()
        await self.proxy.teardown()
        if self.network_policy is not None:
            await self.network_policy.teardown()
        for host in self._hosts:
            if host.instance != self._layout.instance(self._node):
                shutil.rmtree(Path("/run/bareboat") / host.instance, ignore_errors=True)


class Agents:
    """``run`` serves until cancelled; ``ready`` is set when every node is registered."""

    def __init__(self, cluster: ClusterFile, layout: Layout, plugins: Mapping[str, NodePlugins], address: str) -> None:
        self._cluster = cluster
        self._layout = layout
        self._plugins = plugins
        self._nodes = list(plugins)
        self._separate = bool(address)
        self._address = address or primary_address()
        self.clock = SystemClock()
        self.ids = SystemIds()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Raises ClusterError when there is no cluster to join, DriverError when a driver cannot start."""
        identity = NodeIdentity(self._layout, self._nodes, self._address, self.clock, self.ids, separate=self._separate)
        drivers = [NodeDrivers(self._layout, node, self._plugins[node], self.clock) for node in self._nodes]
        agents: list[NodeAgent] = []
        serving = identity.serving()
        api = AgentApi(agents)
        listener = Listener(api, certificate=serving.certificate, key=serving.key, client_ca=identity.client_ca)
        try:
            for node_drivers in drivers:
                await node_drivers.open()
            port = await listener.start("0.0.0.0", 0)  # noqa: S104  the API server dials in from wherever it is
            transports = [identity.transport(node) for node in self._nodes]
            for node, node_drivers, transport in zip(self._nodes, drivers, transports, strict=True):
                agents.append(self._agent(identity, node, node_drivers, Client(transport, Scheme.builtin()), port))
            api.serve(agents)
            storage: list[Any] = []
            for node, node_drivers in zip(self._nodes, drivers, strict=True):
                storage += self._storage(identity, node, node_drivers)
            async with asyncio.TaskGroup() as group:
                for renewal in identity.renewals(listener.reload):
                    group.create_task(renewal(), name="certificates")
                for controllers in storage:
                    group.create_task(controllers.run(), name="storage")
                for agent in agents:
                    group.create_task(agent.run(), name=f"agent-{agent.config.name}")
                for agent in agents:
                    await agent.ready()
                self.ready.set()
        finally:
            await listener.stop()
            for node_drivers in drivers:
                await node_drivers.close()

    async def teardown(self) -> None:
        """Remove everything of these nodes from the machine, volumes included."""
        for node in self._nodes:
            drivers = NodeDrivers(self._layout, node, self._plugins[node], self.clock)
            await drivers.open()
            await drivers.teardown()
            await self._remove_volumes(node, drivers)
            await drivers.close()

    async def _remove_volumes(self, node: str, drivers: NodeDrivers) -> None:
        directory = self._layout.node(node)
        storage = NodeStorage(node, directory, drivers.storage, _nothing, _nothing, self.clock)
        pods = directory / "pods"
        for place in pods.iterdir() if pods.exists() else ():
            await Volumes(place, _nothing, _nothing, {}, _nothing, storage).tear_down()
        await storage.sweep(set(), pods)

    def _storage(self, identity: NodeIdentity, node: str, drivers: NodeDrivers) -> list[Any]:
        """What calls the controller verbs, with identities of its own: volumes need more than a node may, buckets more than volumes."""
        found: list[Any] = []
        volumes = identity.storage(node, "storage") if drivers.storage else None
        if volumes is not None:
            found.append(StorageControllers(node, Client(volumes, Scheme.builtin()), drivers.storage, self.clock, self.ids))
        buckets = identity.storage(node, "buckets") if drivers.buckets else None
        if buckets is not None:
            client = Client(buckets, Scheme.builtin())
            found += [self._provisioner(driver, client, node) for driver in drivers.buckets]
        return found

    def _provisioner(self, driver: Any, client: Client, node: str) -> BucketProvisioner:
        events = EventRecorder(client, f"{driver.driver_name}_{node}", self.clock, self.ids, host=node)
        election = Election(client, f"cosi-{driver.driver_name}".lower(), node, self.clock, self.ids)
        return BucketProvisioner(driver, client, self.clock, events, election)

    def _loaded(self, node: str) -> list[PluginSpec]:
        plugins = self._plugins[node]
        loaded = [*plugins.runtimes.values(), plugins.network, plugins.proxy, plugins.network_policy, *plugins.storage, *plugins.buckets]
        found = list(dict.fromkeys(d.plugin for d in loaded if d is not None))
        found += plugins.hooks.plugins if plugins.hooks is not None else []
        return [PluginSpec(name=p.name, contract=p.group, distribution=p.distribution, version=p.version) for p in found]

    def _agent(self, identity: NodeIdentity, node: str, drivers: NodeDrivers, client: Client, port: int) -> NodeAgent:
        wanted = node_of(self._cluster, node)
        config = NodeConfig(
            name=node,
            internal_ip=self._address,
            cluster_cidr=self._cluster.networking.podCIDR,
            service_cidr=self._cluster.networking.serviceCIDR,
            domain=self._cluster.networking.domain,
            port=port,
            labels=dict(wanted.labels),
            max_pods=wanted.maxPods,
            cpu=os.cpu_count() or 1,
            plugins=self._loaded(node),
        )
        reader = identity.network_policy(node) if drivers.network_policy is not None else None
        agent = NodeAgent(
            config,
            client,
            drivers.runtimes,
            drivers.network,
            drivers.proxy,
            drivers.network_policy,
            Client(reader, Scheme.builtin()) if reader is not None else None,
            clock=self.clock,
            ids=self.ids,
            state_dir=self._layout.node(node),
            storage=drivers.storage,
        )
        hooks = self._plugins[node].hooks
        agent.contributed = hooks.collect("bareboat_node_services") if hooks is not None else []
        return agent


async def _nothing(*_: Any) -> Any:
    return None
