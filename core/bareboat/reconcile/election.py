"""Leader election by Lease: of several that can do a work, one does it, and another takes over when it is gone.

What comes in: a Lease's name, an identity, and the work. What goes out: the work runs while the Lease is ours. As in client-go, nobody
compares clocks: a Lease has run out when it was not seen to change for its duration by the one who looks. A leader that
could not renew for ``deadline`` seconds stops its work before that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.base.tasks import Tasks
from bareboat.client.client import Client
from bareboat.models import coordination_v1, meta_v1
from bareboat.models.status import ApiError, NotFound

log = logging.getLogger("bareboat.election")

#: Seconds: how long a Lease lasts, for how long a leader tries to renew it, and between two tries.
DURATION, DEADLINE, RETRY = 15, 10.0, 2.0
#: Tries of those who wait are spread over this much more than RETRY: less than in client-go, for a take-over in 15 to 17 s.
JITTER = 0.2


class Election:
    """Of ``identity`` for the Lease ``name``; ``leads`` tells whether it has it."""

    def __init__(self, client: Client, name: str, identity: str, clock: Clock, ids: Ids, *, namespace: str = "kube-system") -> None:
        self._client = client
        self._name = name
        self._namespace = namespace
        self.identity = identity
        self._clock = clock
        self._ids = ids
        self._seen: coordination_v1.Lease | None = None
        self._seen_at = 0.0
        self.leads = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled: wait for the Lease, run ``work`` while it is ours, wait again. A cancelled leader lets go of the Lease."""
        while True:
            await self._acquire()
            log.info("%s leads %s/%s", self.identity, self._namespace, self._name)
            self.leads = True
            try:
                async with Tasks() as tasks:
                    running = tasks.spawn(_awaited(work), name=f"{self._name} work")
                    await self._hold(running)
            except asyncio.CancelledError:
                await self._release()
                raise
            finally:
                self.leads = False
            if running.cancelled():
                log.warning("%s no longer leads %s/%s", self.identity, self._namespace, self._name)
            else:
                await self._release()  # the work ended: somebody else may try it

    async def _acquire(self) -> None:
        while not await self._try():
            wait = RETRY * (1.0 + JITTER * self._ids.fraction())
            left = self._runs_out() - self._clock.monotonic()
            await self._clock.sleep(min(wait, left) if left > 0 else wait)

    async def _hold(self, running: asyncio.Task[None]) -> None:
        """Renew until that fails for too long, or the work has ended."""
        renewed = self._clock.monotonic()
        while not running.done():
            await self._clock.sleep(RETRY)
            left = renewed + DEADLINE - self._clock.monotonic()
            if left <= 0:  # also when this process was stopped for a while
                return
            try:
                async with asyncio.timeout(left):
                    held = await self._try()
            except TimeoutError:
                return
            if held:
                renewed = self._clock.monotonic()

    async def _try(self) -> bool:
        """Take or renew the Lease; False if it is another's or that did not work."""
        try:
            lease = await self._client.get(coordination_v1.Lease, self._name, self._namespace)
        except NotFound:
            return await self._put(None)
        except ApiError as error:
            log.info("lease %s: %s", self._name, error)
            return False
        if self._seen is None or lease.metadata.resourceVersion != self._seen.metadata.resourceVersion:
            self._seen, self._seen_at = lease, self._clock.monotonic()
        holder = lease.spec.holderIdentity
        if holder and holder != self.identity and self._clock.monotonic() < self._runs_out():
            return False
        return await self._put(lease)

    def _runs_out(self) -> float:
        """When the Lease does that was seen last, on our clock; the past if none was."""
        return self._seen_at + (self._seen.spec.leaseDurationSeconds or 0) if self._seen is not None else 0.0

    async def _put(self, lease: coordination_v1.Lease | None) -> bool:
        now = self._clock.micro()
        ours = lease is not None and lease.spec.holderIdentity == self.identity
        known = lease or coordination_v1.Lease(metadata=meta_v1.ObjectMeta(name=self._name, namespace=self._namespace))
        spec = known.spec
        if not ours:
            spec.acquireTime = now
            spec.leaseTransitions = 0 if lease is None else (spec.leaseTransitions or 0) + 1
        spec.holderIdentity, spec.leaseDurationSeconds, spec.renewTime = self.identity, DURATION, now
        try:
            self._seen = await (self._client.create(known) if lease is None else self._client.update(known))
        except ApiError as error:
            log.info("lease %s: %s", self._name, error)
            return False
        self._seen_at = self._clock.monotonic()
        return True

    async def _release(self) -> None:
        """Let others take it at once instead of when it has run out."""
        lease = self._seen
        if lease is None or lease.spec.holderIdentity != self.identity:
            return
        now = self._clock.micro()
        lease.spec.holderIdentity, lease.spec.leaseDurationSeconds = "", 1
        lease.spec.renewTime = lease.spec.acquireTime = now
        try:
            async with asyncio.timeout(RETRY):
                await self._client.update(lease)
        except (ApiError, TimeoutError) as error:
            log.info("lease %s is not released: %s", self._name, error)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
