"""ResourceQuota: a write that would go over a limit of its namespace is refused, also when many writes race.

What comes in: creates of whatever a quota counts, and updates of what may come to use more. Each is checked against the status of
the quotas, and what it adds is written there (compare-and-swap) before the write itself. Writes of one namespace that wait for each
other share one such write. Releases are the controller's: it counts what is there. Until a reserved object is there to be counted
the controller may not lower what is used: its write is a Conflict, and it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bareboat.contracts.admission import QUOTA, AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.quota import usage
from bareboat.models.status import ApiError, Conflict, Forbidden, InternalError, NotFound
from bareboat_admission_builtin.quota.evaluation import Claim, charge

#: Rounds of compare-and-swap before the client is told.
TRIES = 10
#: Seconds that a reserved object has, once written, to reach the controller's cache.
SETTLING = 0.25
CONTROLLER = "system:serviceaccount:kube-system:resourcequota-controller"
#: What may come to use more while it lives; (resource, subresource).
_GROWING = frozenset({("services", ""), ("persistentvolumeclaims", ""), ("pods", "resize")})
_UNCOUNTED = frozenset(
    {"events", "bindings", "tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews"}
)


class ResourceQuota(AdmissionPlugin):
    name = "ResourceQuota"
    shallow = True
    stage = QUOTA

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        self._reader = reader
        self._host = host
        self._names: dict[str, set[str]] = {}
        self._waiting: dict[str, list[Claim]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._reserved: dict[tuple[str, str], _Reserved] = {}
        reader.subscribe(core_v1.ResourceQuota, self._changed)

    def _changed(self, namespace: str, name: str) -> None:
        names = self._names.setdefault(namespace, set())
        if self._reader.get(core_v1.ResourceQuota, name, namespace) is not None:
            names.add(name)
            return
        names.discard(name)
        self._reserved.pop((namespace, name), None)
        if not names:
            for table in (self._names, self._locks):
                table.pop(namespace, None)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        if operation == "UPDATE" and not group:
            return (resource, subresource) in _GROWING or (resource, subresource) == ("resourcequotas", "status")
        return operation == "CREATE" and not subresource and resource not in _UNCOUNTED

    async def mutate(self, request: AdmissionRequest) -> None:
        """Hold the controller back while it cannot see what was reserved."""
        if request.subresource != "status" or request.user.name != CONTROLLER:
            return
        reserved = self._reserved.get((request.namespace, request.name))
        if reserved is not None and reserved.open(self._host.clock.monotonic()) and _lowers(request.object.status, request.old.status):
            raise Conflict.of("resourcequotas", request.name, because="what was reserved is not there yet; please count again")

    async def validate(self, request: AdmissionRequest) -> None:
        namespace = request.namespace
        if not self._names.get(namespace) or request.subresource == "status":
            return
        claim = self._claim(request)
        self._waiting.setdefault(namespace, []).append(claim)
        async with self._locks.setdefault(namespace, asyncio.Lock()):
            if not claim.decided:
                await self._decide(namespace)
        if claim.error is not None:
            raise claim.error
        for name in claim.charged:
            request.ended.append(self._ending(namespace, name))

    def _claim(self, request: AdmissionRequest) -> Claim:
        kind = f"{request.resource}.{request.group}" if request.group else request.resource
        now = self._host.clock.now()
        before = usage(kind, request.old, now) if request.old is not None else {}
        return Claim(request, kind, usage(kind, request.object, now), before)

    async def _decide(self, namespace: str) -> None:
        """Everybody who waits; whoever is not decided when this ends early waits on for the next holder of the lock."""
        batch = self._waiting.pop(namespace, [])
        try:
            await self._reserve(namespace, batch)
        finally:
            left = [claim for claim in batch if not claim.decided]
            if left:
                self._waiting.setdefault(namespace, [])[:0] = left

    async def _reserve(self, namespace: str, batch: list[Claim]) -> None:
        names = set(self._names.get(namespace, ()))
        for _ in range(TRIES):
            found = (self._reader.get(core_v1.ResourceQuota, name, namespace) for name in sorted(names))
            quotas = {quota.metadata.name: quota for quota in found if quota is not None}
            changed = _charge_all([c for c in batch if c.error is None], quotas)
            names = await self._written(namespace, [quotas[name] for name in changed])
            if not names:
                break
            for claim in batch:
                claim.charged = [name for name in claim.charged if name not in names]
        else:
            for claim in batch:
                claim.error = claim.error or _busy(claim)
        for claim in batch:
            claim.decided = True

    async def _written(self, namespace: str, quotas: list[core_v1.ResourceQuota]) -> set[str]:
        """The quotas that somebody else wrote meanwhile."""
        lost = set()
        for quota in quotas:
            name = quota.metadata.name
            reserved = self._reserved.setdefault((namespace, name), _Reserved())
            reserved.writing += 1
            try:
                await self._host.update_status(quota)
            except Conflict:
                lost.add(name)
            except NotFound:
                self._reserved.pop((namespace, name), None)
            finally:
                reserved.writing -= 1
                reserved.until = self._host.clock.monotonic() + SETTLING
        return lost

    def _ending(self, namespace: str, name: str) -> Callable[[], None]:
        reserved = self._reserved.setdefault((namespace, name), _Reserved())
        reserved.writing += 1

        def ended() -> None:
            reserved.writing -= 1
            reserved.until = self._host.clock.monotonic() + SETTLING
            reserved.uncounted = True

        return ended


class _Reserved:
    """How many writes that a quota counts are under way, until when the last of them may not be visible yet, and whether a count
    that saw it has been asked for."""

    __slots__ = ("uncounted", "until", "writing")

    def __init__(self) -> None:
        self.writing = 0
        self.until = 0.0
        self.uncounted = False

    def open(self, now: float) -> bool:
        """A count that arrives now may have begun before the last object could be seen: it is refused once, and the next is newer."""
        if self.writing > 0 or now < self.until:
            return True
        refused, self.uncounted = self.uncounted, False
        return refused


def _charge_all(claims: list[Claim], quotas: dict[str, core_v1.ResourceQuota]) -> list[str]:
    """Let the claims use the quotas one after the other. The names of those that changed."""
    changed: dict[str, None] = {}
    for claim in claims:
        try:
            charges = charge(claim, quotas.values())
        except ApiError as error:
            claim.error = error
            continue
        if claim.request.dry_run:
            continue
        for name, used in charges.items():
            status = quotas[name].status
            status.used = {**status.used, **{resource: str(amount) for resource, amount in used.items()}}
            claim.charged.append(name)
            changed[name] = None
    return list(changed)


def _lowers(new: core_v1.ResourceQuotaStatus, old: core_v1.ResourceQuotaStatus) -> bool:
    return any(name in old.used and Quantity.parse(amount) < Quantity.parse(old.used[name]) for name, amount in new.used.items())


def _busy(claim: Claim) -> ApiError:
    request = claim.request
    if not claim.charged:
        return InternalError.of("resource quota evaluation timed out")
    return Forbidden.of(request.resource, request.name, group=request.group, because="too many changes of its quotas at once; try again")
