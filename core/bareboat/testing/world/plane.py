"""The control plane of a world: API with admission and access rules, controllers and scheduler, on the running event loop, no socket.

In: which parts are wanted. Out: a kernel that is ready. Access rules, admission and scheduling policies are plugins, found by the names
that the default cluster file gives them, exactly as a server does it; what is not installed is said by name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bareboat.admission.builtin import builtin as builtin_admission
from bareboat.api.decisions import Authority as AnyAuthority
from bareboat.auth.account_tokens import TokenAuthenticator
from bareboat.auth.authenticators import AnonymousAuthenticator, AuthenticatorChain
from bareboat.auth.authority import Authority
from bareboat.auth.host import AuthHost
from bareboat.auth.tokens import ISSUER, Issuer, Keys, service_account_user
from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.tasks import Tasks, supervise
from bareboat.client.client import Client
from bareboat.cluster.bootstrap import Bootstrap
from bareboat.cluster.endpoints import publish
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.kinds import serve_kinds
from bareboat.cluster.pki.authority import signing_key
from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Authenticator, Reader, UserInfo
from bareboat.contracts.contributions import HttpApp, NodeService
from bareboat.controllers.registry import BUILTIN
from bareboat.plugins.loader import Choice, Hooks, Loader
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.server.virtual import Virtual
from bareboat.testing.kernel import Kernel
from bareboat.testing.world.faults import Faults, faulty_service

SHARED_READS = UserInfo(name="system:kube-controller-manager", groups=("system:masters", "system:authenticated"))
SCHEDULER = UserInfo(name="system:kube-scheduler", groups=("system:masters", "system:authenticated"))
SERVICE_CIDR = "10.96.0.0/16"
#: The address at which the world says that its API is, before it is served.
NOWHERE = "192.0.2.1"


class Plane:
    """``start`` returns when the API answers; controllers and scheduler come up beside."""

    def __init__(
        self,
        faults: Faults,
        *,
        clock: Clock,
        ids: Ids,
        admission: bool,
        rbac: bool,
        controllers: bool | Sequence[str],
        plugins: Sequence[Any],
    ) -> None:
        self.clock, self.ids, self.faults = clock, ids, faults
        self._controllers = controllers
        self._hooks = chosen(admission=admission, rbac=rbac, scheduler=bool(controllers), plugins=plugins)
        self._rbac = rbac
        self.keys = Keys(_signing_key())
        self._auth_host: AuthHost | None = None
        self.kernel = Kernel(
            store=faults.store,
            clock=clock,
            ids=ids,
            admission=self._admission,
            authority=self._authority if rbac else None,
            service=faulty_service(faults),
            broadcast=faults.airwaves,
        )
        self.tasks = Tasks()

    def authenticators(self) -> list[Authenticator]:
        """Of the bearer tokens that this world's API issues, and what plugins contribute."""
        contributed = self._hooks.collect("bareboat_authenticators", reader=self.kernel.reader, host=self._host_for(self.kernel.reader))
        tokens = TokenAuthenticator(self.keys, self.kernel.reader, self.clock, (ISSUER,))
        return [tokens, *contributed, AnonymousAuthenticator()]

    def client(self, user: UserInfo, agent: str = "") -> Client:
        client = self.kernel.client_for(user)
        client.transport._agent = agent or user.name  # type: ignore[attr-defined]
        return client

    async def start(self) -> None:
        await self.kernel.start(namespaces=())
        service = self.kernel.service
        service.allocations.configure(SERVICE_CIDR, (30000, 32767))
        service.allocations.rebuild()
        issuer = Issuer(self.keys, self.kernel.reader, self.clock, self.ids)
        authority: Any = self.kernel.authority
        Virtual(service, AuthenticatorChain(self.authenticators()), authority, issuer)
        await serve_kinds(self.client(SHARED_READS, "kube-apiserver"), self._hooks.collect("bareboat_kinds"))
        bootstrap = Bootstrap(self.client(SHARED_READS, "kube-apiserver"), self.kernel.scheme, self.clock)
        objects = self._hooks.collect("bareboat_bootstrap_objects") if self._rbac else []
        await bootstrap.run(objects, SERVICE_CIDR, NOWHERE, 6443)
        if self._controllers is not False:
            await self._start_loops()

    def node_services(self) -> list[NodeService]:
        return self._hooks.collect("bareboat_node_services")

    def apps(self) -> list[HttpApp]:
        return self._hooks.collect("bareboat_http_apps", reader=self.kernel.reader)

    async def stop(self) -> None:
        await self.tasks.cancel()
        if self._auth_host is not None:
            await self._auth_host.close()
        await self.kernel.stop()

    async def moved(self, address: str, port: int) -> None:
        """The Service ``kubernetes`` leads there from now on."""
        await publish(self.client(SHARED_READS, "kube-apiserver"), [(address, port)])

    def _host_for(self, reader: Reader) -> AuthHost:
        if self._auth_host is None:
            self._auth_host = AuthHost(reader, self.clock, self.ids, (ISSUER,))
        return self._auth_host

    def _authority(self, reader: Reader) -> AnyAuthority:
        contributed = {a.name: a for a in self._hooks.collect("bareboat_authorizers", reader=reader, host=self._host_for(reader))}
        first = [contributed.pop(name) for name in ("node", "rbac") if name in contributed]
        return Authority([*first, *contributed.values()])

    def _admission(self, reader: Reader, host: AdmissionHost) -> list[AdmissionPlugin]:
        return [*builtin_admission(reader, host), *self._hooks.collect("bareboat_admission", reader=reader, host=host)]

    async def _start_loops(self) -> None:
        self._shared = InformerFactory(self.client(SHARED_READS))
        self.spawn("informers", self._shared.run)
        wanted = None if self._controllers is True else set(self._controllers or ())
        contributed = self._hooks.collect("bareboat_controllers")
        for cls in [*BUILTIN, *contributed]:
            if wanted is None or cls.name in wanted or cls in contributed:
                self._start_controller(cls)
        if wanted is None or "scheduler" in wanted:
            self._start_scheduler()

    def _start_controller(self, cls: Any) -> None:
        client = self.client(service_account_user("kube-system", cls.name), "kube-controller-manager")
        events = EventRecorder(self.client(SHARED_READS), cls.name, self.clock, self.ids)
        controller = cls(ControllerContext(client, self._shared, self.clock, self.ids, events))
        self.spawn(f"{cls.name} events", events.run)
        self.spawn(cls.name, controller.run)

    def _start_scheduler(self) -> None:
        from bareboat.scheduler.scheduler import Scheduler

        contributed = self._hooks.collect("bareboat_scheduling_policies")
        usual = {p.use: p.weight for p in ClusterFile().scheduling}
        others = [p for p in contributed if p.name not in usual and not type(p).__module__.startswith("bareboat_sched_policies")]
        policies = [(p, usual[p.name]) for p in contributed if p.name in usual] + [(p, p.default_weight) for p in others]
        events = EventRecorder(self.client(SHARED_READS), "default-scheduler", self.clock, self.ids, limited=False)
        client = self.client(SCHEDULER, "kube-scheduler")
        scheduler = Scheduler(client, self._shared, policies, clock=self.clock, ids=self.ids, events=events)
        self.spawn("scheduler events", events.run)
        self.spawn("scheduler", scheduler.run)

    def spawn(self, name: str, service: Any) -> None:
        self.tasks.spawn(supervise(name, service, self.clock, Backoff(1.0, 30.0)), name=name)


@cache
def _signing_key() -> bytes:
    """One for all worlds of a process: making it takes longer than all the rest."""
    with tempfile.TemporaryDirectory() as directory:
        return signing_key(Path(directory) / "sa.key")


def chosen(*, admission: bool, rbac: bool, scheduler: bool, plugins: Sequence[Any]) -> Hooks:
    """``plugins`` are names of installed hook plugins, or modules with hooks (those under test). Raises PluginErrors."""
    names = [n for n, wanted in (("rbac", rbac), ("admission-builtin", admission), ("sched-policies", scheduler)) if wanted]
    named = [Choice(use=n) for n in [*names, *(p for p in plugins if isinstance(p, str))]]
    return Loader().hooks(named, modules=[p for p in plugins if not isinstance(p, str)])
