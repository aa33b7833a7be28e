"""The controllers and the scheduler: all of them in a server that has its store alone, by election where several share it.

What comes in: what the cluster file lets run, and clients by identity. What goes out: loops that run until they are cancelled. A
server that leads the controllers need not lead the scheduler. Each leader has informers of its own, from when it leads
until it does not; their bytes are the store's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bareboat.auth.tokens import service_account_user
from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.tasks import Tasks, supervise
from bareboat.client.client import Client
from bareboat.cluster.file.choices import ServerPlugins, enabled_controllers, ordered
from bareboat.cluster.file.shape import ClusterFile
from bareboat.contracts.auth import UserInfo
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat.controllers.registry import BUILTIN
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.election import Election
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory

if TYPE_CHECKING:
    from bareboat.scheduler.scheduler import Scheduler

Policies = list[tuple[SchedulingPolicy, int]]
SCHEDULER = UserInfo(name="system:kube-scheduler", groups=("system:authenticated",))
SHARED_READS = UserInfo(name="system:kube-controller-manager", groups=("system:masters", "system:authenticated"))
MANAGER, SCHEDULING = "kube-controller-manager", "kube-scheduler"


class Loops:
    """``client(user, agent)`` gives the in-process client of an identity."""

    def __init__(
        self, cluster: ClusterFile, plugins: ServerPlugins, client: Callable[[UserInfo, str], Client], clock: Clock, ids: Ids
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._clock = clock
        self._ids = ids
        self._classes = {cls.name: cls for cls in [*BUILTIN, *plugins.hooks.collect("bareboat_controllers")]}
        enabled = enabled_controllers([*self._classes, "scheduler"], cluster.controllers)
        self._controllers = [cls for name, cls in self._classes.items() if name in enabled]
        self._schedules = "scheduler" in enabled
        self._policies = policies_of(cluster, plugins)
        self._scheduler: Scheduler | None = None

    def start(self, tasks: Tasks) -> None:
        """All that is enabled, over the same informers."""
        if not self._controllers and not self._schedules:
            return
        shared = self._informers(tasks)
        self._start_controllers(tasks, shared)
        if self._schedules:
            self._start_scheduler(tasks, shared)

    async def elected(self) -> None:
        """The same, each while this server leads it, until cancelled."""
        identity = f"{socket.gethostname()}_{self._ids.uid()}"
        async with Tasks() as tasks:
            if self._controllers:
                self._stand(tasks, MANAGER, identity, self._start_controllers)
            if self._schedules:
                self._stand(tasks, SCHEDULING, identity, self._start_scheduler)
            await asyncio.Event().wait()

    def _stand(self, tasks: Tasks, name: str, identity: str, start: Callable[[Tasks, InformerFactory], None]) -> None:
        user = UserInfo(name=f"system:{name}", groups=SHARED_READS.groups)
        election = Election(self._client(user, name), name, identity, self._clock, self._ids)
        self._spawn(tasks, f"election of {name}", partial(election.run, partial(self._run, start)))

    async def _run(self, start: Callable[[Tasks, InformerFactory], None]) -> None:
        async with Tasks() as tasks:
            start(tasks, self._informers(tasks))
            await asyncio.Event().wait()

    def _informers(self, tasks: Tasks) -> InformerFactory:
        shared = InformerFactory(self._client(SHARED_READS, "kube-apiserver"))
        self._spawn(tasks, "informers", shared.run)
        return shared

    def _start_controllers(self, tasks: Tasks, shared: InformerFactory) -> None:
        for cls in self._controllers:
            client = self._client(service_account_user("kube-system", cls.name), MANAGER)
            events = self._events(cls.name)
            controller: Any = cls(ControllerContext(client, shared, self._clock, self._ids, events))
            self._spawn(tasks, f"{cls.name} events", events.run)
            self._spawn(tasks, cls.name, controller.run)

    def _start_scheduler(self, tasks: Tasks, shared: InformerFactory) -> None:
        from bareboat.scheduler.scheduler import Scheduler

        events = self._events("default-scheduler", limited=False)
        client = self._client(SCHEDULER, SCHEDULING)
        scheduler = Scheduler(client, shared, self._policies, clock=self._clock, ids=self._ids, events=events)
        self._spawn(tasks, "scheduler events", events.run)
        self._scheduler = scheduler
        self._spawn(tasks, "scheduler", scheduler.run)

    def judge_by(self, policies: Policies) -> None:
        """From the next pod on, whether the scheduler runs here now or later."""
        self._policies = policies
        if self._scheduler is not None:
            self._scheduler.judge_by(policies)

    def _events(self, component: str, *, limited: bool = True) -> EventRecorder:
        return EventRecorder(self._client(SHARED_READS, "kube-apiserver"), component, self._clock, self._ids, limited=limited)

    def _spawn(self, tasks: Tasks, name: str, service: Callable[[], Awaitable[None]]) -> None:
        tasks.spawn(supervise(name, service, self._clock, Backoff(1.0, 30.0)), name=name)


def policies_of(cluster: ClusterFile, plugins: ServerPlugins) -> Policies:
    """Of the profile, with their weights. Raises PluginErrors."""
    contributed = {p.name: p for p in plugins.hooks.collect("bareboat_scheduling_policies")}
    chosen = ordered(list(contributed.values()), [p.use for p in cluster.scheduling], "scheduling")
    weights = {p.use: p.weight for p in cluster.scheduling}
    return [(p, weights.get(p.name, p.default_weight)) for p in chosen]
