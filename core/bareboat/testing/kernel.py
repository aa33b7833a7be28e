"""A whole API in memory: log, scheme, admission and service, without HTTP, root or a download. What ``world`` builds on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bareboat.admission.chain import Chain
from bareboat.api.custom.lifecycle import Lifecycle
from bareboat.api.custom.rows import Heads
from bareboat.api.decisions import Authority
from bareboat.api.host import Host
from bareboat.api.inprocess import InProcessTransport
from bareboat.api.reader import LogReader
from bareboat.api.service import Service
from bareboat.base.clock import Clock, LoopClock
from bareboat.base.ids import Ids, SeededIds
from bareboat.base.tasks import Tasks
from bareboat.client.client import Client
from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import ALLOW, Attributes, Decision, Reader, UserInfo
from bareboat.contracts.store import Store
from bareboat.models import core_v1, meta_v1
from bareboat.models.scheme import Scheme
from bareboat.models.status import AlreadyExists
from bareboat.store.broadcast import Broadcast
from bareboat.store.memory import MemoryStore
from bareboat.store.shared import log_over

ADMIN = UserInfo(name="admin", groups=("system:masters", "system:authenticated"))


class EveryoneMay:
    """An authority that allows everything."""

    async def authorize(self, attributes: Attributes) -> Decision:
        del attributes
        return ALLOW

    def stamp(self, user: UserInfo) -> object:
        """See contracts.auth.Authorizer.stamp."""
        del user
        return 0

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[dict[str, list[str]]], list[dict[str, list[str]]], bool]:
        """See contracts.auth.Authorizer.rules_for."""
        del user, namespace
        every = ["*"]
        return [{"verbs": every, "apiGroups": every, "resources": every}], [{"verbs": every, "nonResourceURLs": every}], False


class Kernel:
    """``await Kernel().start()`` gives a client with every right; several live in one process."""

    def __init__(
        self,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        admission: Sequence[AdmissionPlugin] | Callable[[Reader, AdmissionHost], Sequence[AdmissionPlugin]] = (),
        authority: Callable[[Reader], Authority] | None = None,
        service: type[Service] = Service,
        broadcast: Broadcast | None = None,
    ) -> None:
        """``authority`` None: everybody may do everything. ``service`` and ``broadcast`` are where faults are put in."""
        self.clock = clock or LoopClock()
        self.ids = ids or SeededIds(1)
        self.scheme = Scheme.builtin()
        self.log = log_over(store or MemoryStore(), self.clock, Heads(self.scheme))
        if broadcast is not None:
            self.log.broadcast_through(broadcast)
        self.reader = LogReader(self.log, self.scheme)
        self.authority: Authority = authority(self.reader) if authority is not None else EveryoneMay()
        host = self.host = Host(self.scheme, self.authority, self.reader, self.clock, self.ids)
        chain = Chain(admission(self.reader, host) if callable(admission) else admission)
        self.service = service(self.log, self.scheme, self.authority, chain, clock=self.clock, ids=self.ids)
        host.attach(self.service)
        self.client = self.client_for(ADMIN)
        self._tasks = Tasks()

    def client_for(self, user: UserInfo) -> Client:
        return Client(InProcessTransport(self.service, user), self.scheme)

    async def start(self, namespaces: Sequence[str] = ("default", "kube-system", "kube-node-lease")) -> Kernel:
        await self.log.start()
        self.service.allocations.rebuild()
        self.service.custom.load()
        self._tasks.spawn(Lifecycle(self.service).run(), name="definitions")
        for name in namespaces:
            try:
                await self.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
            except AlreadyExists:
                continue
        return self

    async def stop(self) -> None:
        await self.host.close()
        await self._tasks.cancel()
        await self.log.stop()
