"""The status of ResourceQuotas: hard limits as they are now and what is used of them.

Counted again when a quota changes, when objects that it counts come or go or use something else, and every five minutes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from bareboat.controllers.freshness import Written
from bareboat.models import core_v1
from bareboat.models.codec import copy, decode
from bareboat.models.meta import key as key_of
from bareboat.models.quantity import Quantity
from bareboat.models.quota import Usage, add, in_scope, resource_of, usage
from bareboat.models.scheme import Resource
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import Informer, InformerFactory

FULL_RECOUNT = 300.0
#: Objects read at a stretch.
PORTION = 64
#: Kinds without a type are not watched but asked for this often.
POLL = 5.0
#: What an object of these kinds uses may change while it lives.
_CHANGING = frozenset({"pods", "services", "persistentvolumeclaims"})


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._written = Written()
        self._uses: dict[tuple[str, str], tuple[bytes, Usage]] = {}
        self._counted: dict[str, Informer[Any]] = {}
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._informers = informers
        self._quotas = self.watch(informers.of(core_v1.ResourceQuota))

    async def background(self) -> None:
        while True:
            await self.clock.sleep(FULL_RECOUNT)
            for name in self._quotas.keys():  # noqa: SIM118  an informer is no dict
                self.queue.add(name)

    async def reconcile(self, key: str) -> float | None:
        quota = self._quotas.get(key)
        if quota is None:
            self._written.forget(key)
            return None
        if self._written.stale(quota):
            return 0.05
        used: Usage = {}
        polled = False
        for group_resource in dict.fromkeys(resource_of(name) for name in quota.spec.hard):
            resource = self._resource(group_resource)
            if resource is None:
                continue
            polled = polled or resource.type is None
            mine = [name for name in quota.spec.hard if resource_of(name) == group_resource]
            used.update(dict.fromkeys(mine, Quantity()))
            add(used, await self._count(quota, group_resource, resource, set(mine)))
        status = copy(quota.status)
        status.hard = dict(quota.spec.hard)
        status.used = {name: str(used[name]) for name in sorted(used)}
        if status != quota.status:
            quota.status = status
            self._written.note(await self.client.update(quota, subresource="status"))
        return POLL if polled else None

    def _resource(self, group_resource: str) -> Resource | None:
        plural, _, group = group_resource.partition(".")
        return next((r for r in self.client.scheme.resources() if r.plural == plural and r.group == group and r.namespaced), None)

    async def _count(self, quota: core_v1.ResourceQuota, group_resource: str, resource: Resource, names: set[str]) -> Usage:
        found: Usage = {}
        count = f"count/{group_resource}"
        scoped = bool(quota.spec.scopes) or quota.spec.scopeSelector is not None
        namespace = quota.metadata.namespace
        if resource.type is None:
            objects, _ = await self.client.list_raw(resource, namespace)
            return {} if scoped else {count: Quantity.parse(len(objects))}
        informer = await self._informer(group_resource, resource)
        if not scoped and names <= {count, group_resource} and group_resource != "pods":
            return dict.fromkeys(names, Quantity.parse(len(informer.keys(namespace))))
        keys = informer.keys(namespace)
        self.note_size(key_of(quota), len(keys))
        for number, name in enumerate(keys, 1):
            data = informer.raw(name)
            if data is not None:
                add(found, {n: a for n, a in self._use(quota, group_resource, informer.cls, name, data, scoped).items() if n in names})
            if number % PORTION == 0:
                await asyncio.sleep(0)
        return found

    def _use(self, quota: core_v1.ResourceQuota, group_resource: str, cls: Any, name: str, data: bytes, scoped: bool) -> Usage:
        """Kept while the object stays as it is; whether it counts for a scope is asked each time."""
        known = self._uses.get((group_resource, name))
        if known is not None and known[0] is data and not scoped:
            return known[1]
        obj = decode(cls, data)
        used = usage(group_resource, obj, self.clock.now())
        if not obj.metadata.deletionTimestamp:  # what is on its way out stops counting with time
            self._uses[group_resource, name] = (data, used)
        return used if not scoped or in_scope(quota, group_resource, obj) else {}

    async def _informer(self, group_resource: str, resource: Resource) -> Informer[Any]:
        """Watched from the first quota on that counts the kind."""
        informer = self._counted.get(group_resource)
        if informer is None:
            cls: Any = resource.type
            informer = self._counted[group_resource] = self._informers.of(cls)
            await informer.synced()
            informer.on_change(self._watcher(group_resource))
        await informer.synced()
        return informer

    def _watcher(self, group_resource: str) -> Any:
        def changed(name: str, old: bytes | None, new: bytes | None) -> None:
            comes_or_goes = old is None or new is None
            if comes_or_goes or (group_resource in _CHANGING and _matters(old, new)):
                if new is None:
                    self._uses.pop((group_resource, name), None)
                for quota in self._quotas.keys(name.partition("/")[0]):
                    self.queue.add_after(quota, self.pace(quota))

        return changed


class _Status(msgspec.Struct):
    phase: str = ""
    qosClass: str = ""
    allocatedResources: msgspec.Raw = msgspec.Raw(b"")


class _Metadata(msgspec.Struct):
    deletionTimestamp: str | None = None


class _Part(msgspec.Struct):
    """What of an object its use depends on."""

    metadata: _Metadata
    spec: msgspec.Raw = msgspec.Raw(b"")
    status: _Status = msgspec.field(default_factory=_Status)


def _matters(old: bytes | None, new: bytes | None) -> bool:
    parts = [msgspec.json.decode(data, type=_Part) for data in (old, new) if data is not None]
    facts = [(p.metadata.deletionTimestamp, bytes(p.spec), p.status.phase, bytes(p.status.allocatedResources)) for p in parts]
    return facts[0] != facts[-1]
