"""The control plane in one process: store, API, HTTP face, controllers, scheduler, on one event loop.

What comes in: a cluster file and a data directory. What goes out: a server that is ready, and that stops cleanly. Each
controller has a client of its own identity; informers are shared by identity-free reads of the in-process client.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import Any

from bareboat.admission.builtin import builtin as builtin_admission
from bareboat.admission.chain import Chain
from bareboat.api.custom.lifecycle import Lifecycle
from bareboat.api.custom.rows import Heads
from bareboat.api.host import KERNEL, Host
from bareboat.api.inprocess import InProcessTransport
from bareboat.api.kinds import capabilities
from bareboat.api.reader import LogReader
from bareboat.api.service import Service
from bareboat.auth.host import AuthHost
from bareboat.auth.tokens import ISSUER, Issuer, Keys
from bareboat.base.backoff import Backoff
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.base.tasks import Tasks, supervise
from bareboat.client.client import Client
from bareboat.cluster import identities
from bareboat.cluster.bootstrap import Bootstrap
from bareboat.cluster.collecting import Collecting
from bareboat.cluster.edge import made_edge
from bareboat.cluster.file.choices import ServerPlugins, ordered
from bareboat.cluster.file.reading import node_port_range, seconds
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.hosts import primary_address
from bareboat.cluster.identity import Identity
from bareboat.cluster.joining.info import publish
from bareboat.cluster.joining.init import admit_pending
from bareboat.cluster.kinds import serve_kinds
from bareboat.cluster.layout import Layout
from bareboat.cluster.loops import Loops, policies_of
from bareboat.cluster.membership import Membership, check_authority
from bareboat.cluster.metrics import LoopLag, ServerMetrics
from bareboat.cluster.pki.authority import Authority as CertificateAuthority
from bareboat.cluster.pki.authority import signing_key
from bareboat.cluster.pki.requests import RequestSigner
from bareboat.cluster.pki.rotation import Rotation
from bareboat.cluster.state import write_private
from bareboat.cluster.storage import owner, prepare
from bareboat.cluster.storekeeping import StoreSocket
from bareboat.cluster.watchdog import Watchdog
from bareboat.contracts.auth import UserInfo
from bareboat.controllers.accounts import RootCaPublisher
from bareboat.controllers.certificates.controller import CertificateController
from bareboat.controllers.noderanges import NodeAddressController
from bareboat.controllers.tokens.accounts import ServiceAccountTokenController
from bareboat.models.bareboat_v1 import PluginSpec
from bareboat.models.scheme import Scheme
from bareboat.node.policies import access as network_policy_access
from bareboat.plugins.problems import PluginErrors, Problem
from bareboat.server.agents import Agents
from bareboat.server.aggregation import COMMON_NAME, Aggregator
from bareboat.server.app import App
from bareboat.server.apps import Apps
from bareboat.server.connector import Connector
from bareboat.server.fairness.keeper import Keeper
from bareboat.server.health import Health
from bareboat.server.limits import Limits
from bareboat.server.listening import Listener
from bareboat.server.loaded import RESOURCE, LoadedPlugins
from bareboat.server.proxy import Proxy
from bareboat.server.shell import Shell
from bareboat.server.usage import NODES, PODS, READER, Usage
from bareboat.server.virtual import Virtual
from bareboat.store.maintenance import Maintenance
from bareboat.store.shared import log_over

log = logging.getLogger("bareboat.server")


class ControlPlane:
    """One server. ``start`` returns when it is ready; ``stop`` may be called at any time after it."""

    def __init__(self, cluster: ClusterFile, layout: Layout, plugins: ServerPlugins, *, advertise: str = "") -> None:
        self._cluster = cluster
        self._layout = layout
        self._plugins = plugins
        self._advertise = advertise or primary_address()
        self.clock = SystemClock()
        self.ids = SystemIds()
        self.scheme = Scheme.builtin()
        for resource in (RESOURCE, NODES, PODS):
            self.scheme.add(resource)
        self._tasks = Tasks()
        self._audit = Tasks()
        self._started = self._stopping = False
        self._membership: Membership | None = None
        self._collecting = Collecting(self.clock)
        self.url = ""

    async def start(self) -> None:
        """Raises DriverError, PluginErrors, OSError (the port is taken)."""
        with self._collecting.starting():
            await self._start()
        self._spawn("garbage", self._collecting.run)

    async def _start(self) -> None:
        pki = CertificateAuthority(self._layout.pki, self.clock, common_name=f"bareboat-{self._cluster.name}")
        await self._start_store()
        self._rotation = Rotation(self.clock)
        reader = LogReader(self.log, self.scheme)
        if self.log.shared:
            check_authority(reader, pki.certificate_pem.decode(), self._layout.pki)
        self._auth_host = AuthHost(reader, self.clock, self.ids, (ISSUER,))
        identity = Identity(self._cluster, self._plugins.hooks, reader, self._auth_host)
        self.authority = identity.authority()
        host = self._admission_host = Host(self.scheme, self.authority, reader, self.clock, self.ids)
        admission = self._admission(self._cluster, self._plugins, reader, host)
        self.service = Service(self.log, self.scheme, self.authority, admission, clock=self.clock, ids=self.ids)
        self.service.event_seconds = seconds(self._cluster.server.eventTTL)
        capabilities.CURRENT.allow_privileged = bool(self._cluster.server.allowPrivileged)
        capabilities.CURRENT.network_policies = self._cluster.node.networkPolicy is not None
        host.attach(self.service)
        networking = self._cluster.networking
        self.service.allocations.configure(networking.serviceCIDR, node_port_range(networking.nodePorts))
        self.service.allocations.rebuild()
        self.service.custom.load()
        self._spawn("definitions", Lifecycle(self.service).run)
        former = [path.read_bytes() for path in sorted(self._layout.pki.glob("sa.former*.pub"))]
        keys = Keys(signing_key(self._layout.pki / "sa.key"), former)
        await self._start_face(pki, reader, keys, identity)
        await serve_kinds(self._client(KERNEL), self._plugins.hooks.collect("bareboat_kinds"))
        bootstrap = Bootstrap(self._client(KERNEL), self.scheme, self.clock)
        await bootstrap.run(
            self._bootstrap_objects(),
            networking.serviceCIDR,
            self._advertise,
            0 if self.log.shared else self._listener.port,
        )
        keeper = Keeper(self._client(KERNEL), reader, self.clock)
        await keeper.keep()
        self._spawn("fairness objects", keeper.run)
        await publish(self._client(KERNEL), f"https://{self._advertise}:{self._listener.port}", pki.certificate_pem, self._cluster)
        await admit_pending(self._client(KERNEL), self._layout)
        RootCaPublisher.ca_pem = ServiceAccountTokenController.ca_pem = pki.certificate_pem.decode()
        ServiceAccountTokenController.sign = Issuer(keys, reader, self.clock, self.ids).legacy
        NodeAddressController.pod_cidr = networking.podCIDR
        CertificateController.sign = RequestSigner(pki.pair, self.clock)
        ca = pki.certificate_pem.decode()
        self._spawn("aggregator", lambda: self._aggregator.run(ca))
        self._spawn("first use", lambda: _ahead(keys))
        await self._start_loops()
        self._started = True

    async def stop(self) -> None:
        """Say "not ready", wait until nobody sends requests here, then end: what is under way may finish, watches are closed."""
        self._stopping = True
        await self.clock.sleep(self._cluster.server.shutdownDelay)
        await self._tasks.cancel()
        self._collecting.stop()
        if self._membership is not None and not self.log.fault:
            await self._membership.leave()
        self._listener.close()
        await self._edge.streams.close()
        await self._listener.stop()
        await self._connector.close()
        await self._admission_host.close()
        await self._store_socket.stop()
        await self._auth_host.close()
        await self._audit.cancel()
        await self.log.stop()
        self._host.close()

    def _bootstrap_objects(self) -> list[dict[str, Any]]:
        policies = network_policy_access.OBJECTS if self._cluster.node.networkPolicy is not None else ()
        return [*self._plugins.hooks.collect("bareboat_bootstrap_objects"), READER, *policies]

    async def _start_store(self) -> None:
        whose = owner(self._cluster, self._layout, self.ids)
        store, self._host = prepare(self._cluster, self._layout, self._plugins.store, self.clock)
        self.log = log_over(store, self.clock, Heads(self.scheme))
        await self.log.start()
        keeping = Maintenance(self.log, self.scheme, self.clock, cluster=whose.name, instance=whose.id)
        self._store_socket = StoreSocket(self._layout, keeping)
        await self._store_socket.start()

    def take_over(self, cluster: ClusterFile, plugins: ServerPlugins) -> None:
        """Scheduling and admission as this file says, from the next pod and the next write on. Raises PluginErrors, and changes nothing."""
        policies = policies_of(cluster, plugins)
        self.service.admission = self._admission(cluster, plugins, LogReader(self.log, self.scheme), self._admission_host)
        self._loops.judge_by(policies)

    def _admission(self, cluster: ClusterFile, plugins: ServerPlugins, reader: LogReader, host: Host) -> Chain:
        try:
            contributed = plugins.hooks.collect("bareboat_admission", reader=reader, host=host)
        except ValueError as error:
            raise PluginErrors([Problem(plugin="admission", group="bareboat.plugins", message=str(error))]) from error
        chosen = ordered(contributed, cluster.admission, "admission")
        return Chain([*builtin_admission(reader, host), *chosen, *(p for p in contributed if p.required and p not in chosen)])

    async def _start_face(self, pki: CertificateAuthority, reader: LogReader, keys: Keys, identity: Identity) -> None:
        chain = identity.chain(keys)
        LoadedPlugins(self.service, reader, self._own_plugins(), self.clock.timestamp())
        Virtual(self.service, chain, self.authority, Issuer(keys, reader, self.clock, self.ids))
        kubelet = identities.kubelet_client(pki)
        agents = Agents(reader, kubelet.certificate, kubelet.key, pki.pair.certificate)
        self._rotation.keep("kubelet-client", lambda: identities.kubelet_client(pki), agents.reload)
        self._connector = Connector(agents)
        self._connector.register(self.service)
        Proxy(reader, agents, self.ids).register(self.service)
        self._aggregator = Aggregator(reader, agents, self._client(KERNEL), self.clock, self.ids)
        front = self._rotation.keep("front-proxy", lambda: pki.client("front-proxy-client", COMMON_NAME), self._aggregator.reidentify)
        self._aggregator.identify(front.certificate, front.key)
        self.service.remote = self._aggregator.answer
        self.service.documents.remote = self._aggregator.groups
        Usage(reader, agents, self.clock).register(self.service)
        health = Health()
        health.add("store", lambda: self.log.fault)
        health.add("start", lambda: "" if self._started else "the server is starting", ready_only=True)
        health.add("shutdown", lambda: "the server is shutting down" if self._stopping else "", ready_only=True)
        lag = LoopLag(self.clock)
        self._spawn("loop lag", lag.run)
        watchdog = Watchdog(self.clock)
        self._spawn("watchdog", watchdog.run)
        self._edge = edge = made_edge(self.service, reader, self.clock, self.ids, self._cluster.server, self._cluster.audit)
        self._spawn("fairness", edge.fairness.run)
        self._spawn("deadlines", edge.deadlines.run)
        if edge.auditor is not None:
            self.service.recorder = edge.auditor
            self._spawn("audit policy", edge.auditor.run)
            for backend in edge.auditor.backends:
                self._audit.spawn(supervise(f"audit {backend.name}", backend.run, self.clock, Backoff(1.0, 30.0)))
        metrics = ServerMetrics(self.log, self.service.requests, lag, [*edge.metrics(), watchdog.collect])
        shell = Shell(keys.jwks, ISSUER, metrics.render, self._paths)
        apps = Apps(self._plugins.hooks.collect("bareboat_http_apps", reader=reader))
        app = App(self.service, chain, self.authority, health, self._connector, shell, edge, apps)
        serving = pki.serving("server", "kube-apiserver", self._names())
        limits = Limits(connections=self._cluster.server.maxConnections)
        self._listener = Listener(
            app,
            certificate=serving.certificate,
            key=serving.key,
            client_ca=pki.pair.certificate,
            limits=limits,
            immediate=app.immediate,
        )
        port = await self._listener.start(self._cluster.server.address, self._cluster.server.port)
        address = self._cluster.server.address
        self.url = f"https://{'127.0.0.1' if address in ('0.0.0.0', '127.0.0.1') else address}:{port}"  # noqa: S104
        self.service.documents.address = f"{self._advertise}:{port}"
        write_private(self._layout.server / "advertised", f"https://{self._advertise}:{port}\n".encode())
        names = self._names()
        self._rotation.keep("server", lambda: pki.serving("server", "kube-apiserver", names), self._listener.reload, pki.pair.certificate)
        self._rotation.keep("kubeconfigs", lambda: identities.administrator(pki), lambda: self._write_kubeconfigs(pki))
        self._write_kubeconfigs(pki)
        self._spawn("certificates", self._rotation.run)

    def _own_plugins(self) -> list[PluginSpec]:
        found = [self._plugins.store.plugin, *self._plugins.hooks.plugins]
        return [PluginSpec(name=p.name, contract=p.group, distribution=p.distribution, version=p.version) for p in found]

    def _names(self) -> list[str]:
        import ipaddress
        import socket

        first = str(ipaddress.IPv4Network(self._cluster.networking.serviceCIDR)[1])
        domain = self._cluster.networking.domain
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}"]
        addresses = ["127.0.0.1", first, self._advertise, primary_address()]
        own = [a for a in (self._cluster.server.address,) if a != "0.0.0.0"]  # noqa: S104
        return list(dict.fromkeys([*names, socket.gethostname(), *addresses, *own, *self._cluster.server.names]))

    def _write_kubeconfigs(self, pki: CertificateAuthority) -> None:
        identities.write(self._layout, pki, self.url, self._cluster.name)

    def _client(self, user: UserInfo, agent: str = "kube-apiserver") -> Client:
        return Client(InProcessTransport(self.service, user, agent), self.scheme)

    async def _start_loops(self) -> None:
        """The controllers and the scheduler, and who else serves this cluster."""
        loops = self._loops = Loops(self._cluster, self._plugins, self._client, self.clock, self.ids)
        if not self.log.shared:
            loops.start(self._tasks)
        else:
            self._spawn("elections", loops.elected)
            self._membership = Membership(self._client(KERNEL), self._advertise, self._listener.port, self.clock, self.ids)
            await self._membership.renew()
            self._spawn("membership", self._membership.run)

    def _spawn(self, name: str, service: Callable[[], Any]) -> None:
        self._tasks.spawn(supervise(name, service, self.clock, Backoff(1.0, 30.0)), name=name)

    def _paths(self) -> list[str]:
        groups = {r.path_prefix for r in self.scheme.resources()}
        return sorted({"/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version", *groups})


async def _ahead(keys: Keys) -> None:
    """Load beside the loop what the first requests would else hold it for."""
    await asyncio.to_thread(keys.load)
    await asyncio.to_thread(importlib.import_module, "bareboat.api.tables")
