"""The control plane in one process: store, API, HTTP face, controllers, scheduler, on one event loop.

What comes in: a cluster file and a data directory. What goes out: a server that is ready, and that stops cleanly. Each
controller has a client of its own identity; informers are shared by identity-free reads of the in-process client.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bareboat.admission.builtin import builtin as builtin_admission
from bareboat.admission.chain import Chain
from bareboat.api.custom.lifecycle import Lifecycle
from bareboat.api.custom.rows import head_of
from bareboat.api.host import KERNEL, Host
from bareboat.api.inprocess import InProcessTransport
from bareboat.api.kinds import capabilities
from bareboat.api.reader import LogReader
from bareboat.api.service import Service
from bareboat.auth.authenticators import AuthenticatorChain, CertificateAuthenticator, StaticTokenAuthenticator
from bareboat.auth.authority import Authority
from bareboat.auth.tokens import ISSUER, Issuer, Keys, TokenAuthenticator, service_account_user
from bareboat.base.backoff import Backoff
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.base.tasks import Tasks, supervise
from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.cluster.bootstrap import Bootstrap
from bareboat.cluster.file.choices import ServerPlugins, enabled_controllers, ordered
from bareboat.cluster.file.reading import node_port_range, seconds
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.hosts import primary_address
from bareboat.cluster.kinds import serve_kinds
from bareboat.cluster.layout import Layout
from bareboat.cluster.metrics import LoopLag, ServerMetrics
from bareboat.cluster.pki.authority import Authority as CertificateAuthority
from bareboat.cluster.pki.authority import Pair, signing_key
from bareboat.cluster.pki.requests import RequestSigner
from bareboat.cluster.state import write_private
from bareboat.cluster.storage import owner, prepare
from bareboat.cluster.storekeeping import StoreSocket
from bareboat.contracts.auth import UserInfo
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat.controllers.accounts import RootCaPublisher
from bareboat.controllers.certificates.controller import CertificateController
from bareboat.controllers.nodes import NodeAddressController
from bareboat.controllers.registry import BUILTIN
from bareboat.models.bareboat_v1 import PluginSpec
from bareboat.models.scheme import Scheme
from bareboat.node.policies import access as network_policy_access
from bareboat.plugins.problems import PluginErrors, Problem
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.server.agents import Agents
from bareboat.server.aggregation import COMMON_NAME, Aggregator
from bareboat.server.app import App
from bareboat.server.apps import Apps
from bareboat.server.connector import Connector
from bareboat.server.health import Health
from bareboat.server.listening import Listener
from bareboat.server.loaded import RESOURCE, LoadedPlugins
from bareboat.server.proxy import Proxy
from bareboat.server.shell import Shell
from bareboat.server.usage import NODES, PODS, READER, Usage
from bareboat.server.virtual import Virtual
from bareboat.store.maintenance import Maintenance
from bareboat.store.shared import log_over

if TYPE_CHECKING:
    from bareboat.scheduler.scheduler import Scheduler

log = logging.getLogger("bareboat.server")
SCHEDULER = UserInfo(name="system:kube-scheduler", groups=("system:authenticated",))
SHARED_READS = UserInfo(name="system:kube-controller-manager", groups=("system:masters", "system:authenticated"))


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
        self._scheduler: Scheduler | None = None
        self.url = ""

    async def start(self) -> None:
        """Raises DriverError, PluginErrors, OSError (the port is taken)."""
        pki = CertificateAuthority(self._layout.pki, self.clock, common_name=f"bareboat-{self._cluster.name}")
        await self._start_store()
        reader = LogReader(self.log, self.scheme)
        self.authority = Authority(self._authorizers(reader))
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
        keys = Keys(signing_key(self._layout.pki / "sa.key"))
        await self._start_face(pki, reader, keys)
        await serve_kinds(self._client(KERNEL), self._plugins.hooks.collect("bareboat_kinds"))
        bootstrap = Bootstrap(self._client(KERNEL), self.scheme, self.clock)
        await bootstrap.run(
            self._bootstrap_objects(),
            networking.serviceCIDR,
            self._advertise,
            self._listener.port,
        )
        RootCaPublisher.ca_pem = pki.certificate_pem.decode()
        NodeAddressController.pod_cidr = networking.podCIDR
        CertificateController.sign = RequestSigner(pki.pair, self.clock)
        ca = pki.certificate_pem.decode()
        self._spawn("aggregator", lambda: self._aggregator.run(ca))
        await self._start_loops()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)

    async def stop(self) -> None:
        await self._tasks.cancel()
        await self._listener.stop()
        await self._connector.close()
        await self._admission_host.close()
        await self._store_socket.stop()
        await self.log.stop()
        self._host.close()

    def _bootstrap_objects(self) -> list[dict[str, Any]]:
        policies = network_policy_access.OBJECTS if self._cluster.node.networkPolicy is not None else ()
        return [*self._plugins.hooks.collect("bareboat_bootstrap_objects"), READER, *policies]

    async def _start_store(self) -> None:
        whose = owner(self._cluster, self._layout, self.ids)
        store, self._host = prepare(self._cluster, self._layout, self._plugins.store, self.clock)
        self.log = log_over(store, self.clock, lambda key: head_of(self.scheme, key))
        await self.log.start()
        keeping = Maintenance(self.log, self.scheme, self.clock, cluster=whose.name, instance=whose.id)
        self._store_socket = StoreSocket(self._layout, keeping)
        await self._store_socket.start()

    def _authorizers(self, reader: LogReader) -> list[Any]:
        contributed = self._plugins.hooks.collect("bareboat_authorizers", reader=reader)
        return ordered(contributed, self._cluster.authorization, "authorization")

    def _admission(self, cluster: ClusterFile, plugins: ServerPlugins, reader: LogReader, host: Host) -> Chain:
        try:
            contributed = plugins.hooks.collect("bareboat_admission", reader=reader, host=host)
        except ValueError as error:
            raise PluginErrors([Problem(plugin="admission", group="bareboat.plugins", message=str(error))]) from error
        return Chain([*builtin_admission(reader, host), *ordered(contributed, cluster.admission, "admission")])

    def take_over(self, cluster: ClusterFile, plugins: ServerPlugins) -> None:
        """Scheduling and admission as this file says, from the next pod and the next write on. Raises PluginErrors, and changes nothing."""
        policies = _policies(cluster, plugins)
        admission = self._admission(cluster, plugins, LogReader(self.log, self.scheme), self._admission_host)
        self.service.admission = admission
        if self._scheduler is not None:
            self._scheduler.judge_by(policies)

    async def _start_face(self, pki: CertificateAuthority, reader: LogReader, keys: Keys) -> None:
        authenticators = [
            CertificateAuthenticator(),
            StaticTokenAuthenticator.from_file(self._layout.server / "tokens.json"),
            TokenAuthenticator(keys, reader, self.clock),
            *ordered(self._plugins.hooks.collect("bareboat_authenticators", reader=reader), self._cluster.authentication, "authentication"),
        ]
        chain = AuthenticatorChain(authenticators)
        LoadedPlugins(self.service, reader, self._own_plugins(), self.clock.timestamp())
        Virtual(self.service, chain, self.authority, Issuer(keys, reader, self.clock, self.ids))
        kubelet = pki.client("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        agents = Agents(reader, kubelet.certificate, kubelet.key, pki.pair.certificate)
        self._connector = Connector(agents)
        self._connector.register(self.service)
        Proxy(reader, agents, self.ids).register(self.service)
        self._aggregator = Aggregator(reader, agents, self._client(KERNEL), self.clock, self.ids)
        front = pki.client("front-proxy-client", COMMON_NAME)
        self._aggregator.identify(front.certificate, front.key)
        self.service.remote = self._aggregator.answer
        self.service.documents.remote = self._aggregator.groups
        Usage(reader, agents, self.clock).register(self.service)
        health = Health()
        health.add("store", lambda: self.log.fault)
        lag = LoopLag(self.clock)
        self._spawn("loop lag", lag.run)
        metrics = ServerMetrics(self.log, self.service.requests, lag)
        shell = Shell(keys.jwks, ISSUER, metrics.render, self._paths)
        apps = Apps(self._plugins.hooks.collect("bareboat_http_apps", reader=reader))
        app = App(self.service, chain, self.authority, health, self._connector, shell, apps)
        serving = pki.serving("server", "kube-apiserver", self._names())
        self._listener = Listener(app, certificate=serving.certificate, key=serving.key, client_ca=pki.pair.certificate)
        port = await self._listener.start(self._cluster.server.address, self._cluster.server.port)
        address = self._cluster.server.address
        self.url = f"https://{'127.0.0.1' if address in ('0.0.0.0', '127.0.0.1') else address}:{port}"  # noqa: S104
        self.service.documents.address = f"{self._advertise}:{port}"
        write_private(self._layout.server / "advertised", f"https://{self._advertise}:{port}\n".encode())
        self._write_kubeconfig(pki.client("admin", "kubernetes-admin", ("system:masters",)), pki)

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

    def _write_kubeconfig(self, admin: Pair, pki: CertificateAuthority) -> None:
        kubeconfig.write(
            self._layout.kubeconfig,
            server=self.url,
            ca=pki.certificate_pem,
            certificate=admin.certificate_pem,
            key=admin.key_pem,
            cluster=self._cluster.name,
        )

    def _client(self, user: UserInfo, agent: str = "kube-apiserver") -> Client:
        return Client(InProcessTransport(self.service, user, agent), self.scheme)

    async def _start_loops(self) -> None:
        """The controllers and the scheduler that the cluster file lets run."""
        classes = {cls.name: cls for cls in [*BUILTIN, *self._plugins.hooks.collect("bareboat_controllers")]}
        enabled = enabled_controllers([*classes, "scheduler"], self._cluster.controllers)
        if not enabled:
            return
        self._shared = InformerFactory(self._client(SHARED_READS))
        self._spawn("informers", self._shared.run)
        self._start_controllers([cls for name, cls in classes.items() if name in enabled])
        if "scheduler" in enabled:
            await self._start_scheduler()

    def _start_controllers(self, classes: list[Any]) -> None:
        shared = self._shared
        for cls in classes:
            client = self._client(service_account_user("kube-system", cls.name), "kube-controller-manager")
            events = EventRecorder(self._client(SHARED_READS), cls.name, self.clock, self.ids)
            controller = cls(ControllerContext(client, shared, self.clock, self.ids, events))
            self._spawn(f"{cls.name} events", events.run)
            self._spawn(cls.name, controller.run)

    async def _start_scheduler(self) -> None:
        from bareboat.scheduler.scheduler import Scheduler

        policies = _policies(self._cluster, self._plugins)
        client = self._client(SCHEDULER, "kube-scheduler")
        events = EventRecorder(self._client(SHARED_READS), "default-scheduler", self.clock, self.ids)
        scheduler = Scheduler(client, self._shared, policies, clock=self.clock, ids=self.ids, events=events)
        self._spawn("scheduler events", events.run)
        self._scheduler = scheduler
        self._spawn("scheduler", scheduler.run)

    def _spawn(self, name: str, service: Callable[[], Any]) -> None:
        self._tasks.spawn(supervise(name, service, self.clock, Backoff(1.0, 30.0)), name=name)

    def _paths(self) -> list[str]:
        groups = {r.path_prefix for r in self.scheme.resources()}
        return sorted({"/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version", *groups})


def _policies(cluster: ClusterFile, plugins: ServerPlugins) -> list[tuple[SchedulingPolicy, int]]:
    """Of the profile, with their weights. Raises PluginErrors."""
    contributed = {p.name: p for p in plugins.hooks.collect("bareboat_scheduling_policies")}
    chosen = ordered(list(contributed.values()), [p.use for p in cluster.scheduling], "scheduling")
    weights = {p.use: p.weight for p in cluster.scheduling}
    return [(p, weights.get(p.name, p.default_weight)) for p in chosen]
