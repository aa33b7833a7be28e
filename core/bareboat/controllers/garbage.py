"""Garbage collection: what has no owner left goes; foreground and orphan finalizers do what they promise.

The graph is metadata only: uid, owners, finalizers and key of every object of every kind, from one watch per kind; of pods, which
change most, from the informer that others look at, too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from bareboat.base.wide import WideDict
from bareboat.client.client import Client, collection
from bareboat.client.transport import RawEvent
from bareboat.models import core_v1
from bareboat.models.scheme import Resource
from bareboat.models.status import ApiError, Gone
from bareboat.reconcile.controller import ControllerContext
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.queue import WorkQueue

log = logging.getLogger("bareboat.garbage")
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
#: Objects that are looked at before others have their turn.
PORTION = 256
_SKIPPED = frozenset({"events", "componentstatuses"})


class Owner(msgspec.Struct, gc=False):
    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


class Meta(msgspec.Struct, gc=False):
    uid: str = ""
    name: str = ""
    namespace: str = ""
    deletionTimestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    ownerReferences: tuple[Owner, ...] = ()


class _Object(msgspec.Struct, gc=False):
    metadata: Meta


_decode = msgspec.json.Decoder(_Object).decode


def _same(old: Meta, new: Meta) -> bool:
    """Whether nothing changed that the graph is about."""
    return (
        old.ownerReferences == new.ownerReferences and old.deletionTimestamp == new.deletionTimestamp and old.finalizers == new.finalizers
    )


def _meta_of(pod: PodFacts) -> Meta:
    meta = pod.metadata
    owners = tuple(Owner(o.apiVersion, o.kind, o.name, o.uid, o.controller, o.blockOwnerDeletion) for o in meta.ownerReferences)
    return Meta(meta.uid, meta.name, meta.namespace, meta.deletionTimestamp, tuple(meta.finalizers), owners)


class GarbageCollector:
    """Not keyed by name but by uid, so it is no ``Controller``; same queue, same rules."""

    name = "generic-garbage-collector"

    def __init__(self, context: ControllerContext) -> None:
        self._client: Client = context.client
        self._queue = WorkQueue(context.ids.fraction)
        self._pod = context.client.scheme.by_type(core_v1.Pod)
        self._pods = context.informers.of(core_v1.Pod)
        self._nodes: WideDict[str, tuple[Resource, Meta]] = WideDict()
        self._dependents: WideDict[str, set[str]] = WideDict()
        self._synced: dict[str, asyncio.Event] = {}
        self._followed: dict[str, tuple[Resource, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._working = False
        context.client.scheme.subscribe(self._changed.set)
        self._pods.on_view(self._pod_changed, PodFacts)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._followed.clear()
            await self._follow_all(group)
            for synced in list(self._synced.values()):
                await synced.wait()
            await self._pods.synced()
            self._working = True
            for number in range(4):
                group.create_task(self._work(), name=f"gc-{number}")
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._follow_all(group)

    async def _follow_all(self, group: asyncio.TaskGroup) -> None:
        """One watch per kind that is served now; kinds come and go with their definitions."""
        resources = {resource.key: resource for resource in self._resources()}
        for key, (resource, task) in list(self._followed.items()):
            now = resources.get(key)
            if now is None or now.api_version != resource.api_version:
                del self._followed[key]
                task.cancel()
                self._synced.pop(key).set()
            if now is None:
                await self._forget(key)
        for key, resource in resources.items():
            if key not in self._followed:
                self._synced[key] = asyncio.Event()
                self._followed[key] = resource, group.create_task(self._follow(resource), name=f"gc-{resource.plural}")

    async def _forget(self, key: str) -> None:
        """The objects of a kind that is gone are gone."""
        for part in self._nodes.parts():
            for meta in [meta for resource, meta in part.values() if resource.key == key]:
                self._remove(meta)
            await asyncio.sleep(0)

    def _resources(self) -> list[Resource]:
        found: dict[str, Resource] = {}
        for resource in self._client.scheme.resources():
            if {"delete", "list", "watch"} <= set(resource.verbs) and resource.plural not in _SKIPPED and resource.key != self._pod.key:
                stored = self._client.scheme.storage(resource.group, resource.plural)
                found.setdefault(stored.key, stored)
        return list(found.values())

    async def _follow(self, resource: Resource) -> None:
        """Keep the graph's part of one kind."""
        revision = ""
        while True:
            try:
                if not revision:
                    found, revision = await self._client.list_raw(resource)
                    while found:
                        self._put(resource, _decode(found.pop()[2]).metadata)
                        if len(found) % PORTION == 0:
                            await asyncio.sleep(0)
                    self._synced[resource.key].set()
                    await self._look_again()
                async for event in self._client.watch_raw(resource, resource_version=revision):
                    revision = str(event.resource_version)
                    self._event(resource, event)
            except Gone:
                revision = ""
            except ApiError as error:
                log.info("garbage collector cannot follow %s: %s", resource.plural, error)
                self._synced[resource.key].set()  # one kind that cannot be read must not hold up the others
                await asyncio.sleep(1.0)

    def _event(self, resource: Resource, event: RawEvent) -> None:
        if event.type == "DELETED":
            self._remove(_decode(event.object).metadata)
        elif event.type != "BOOKMARK":
            self._put(resource, _decode(event.object).metadata)

    def _pod_changed(self, _key: str, old: PodFacts | None, new: PodFacts | None) -> None:
        if old is new:
            return
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._remove(_meta_of(old))
        if new is not None:
            self._put(self._pod, _meta_of(new))

    async def _look_again(self) -> None:
        """A kind that came later may have the owners that were not found."""
        for number, uid in enumerate(list(self._dependents) if self._working else (), 1):
            if uid not in self._nodes:
                for dependent in self._dependents.get(uid, ()):
                    self._queue.add(dependent)
            if number % PORTION == 0:
                await asyncio.sleep(0)

    def _put(self, resource: Resource, meta: Meta) -> None:
        known = self._nodes.get(meta.uid)
        if known is not None and known[0] is resource and _same(known[1], meta):
            if meta.deletionTimestamp:
                self._queue.add(meta.uid)
            return
        if known is not None:
            self._unlink(known[1])
        self._nodes[meta.uid] = (resource, meta)
        for owner in meta.ownerReferences:
            dependents = self._dependents.get(owner.uid)
            if dependents is None:
                dependents = self._dependents[owner.uid] = set()
            dependents.add(meta.uid)
        if meta.ownerReferences or meta.deletionTimestamp:
            self._queue.add(meta.uid)

    def _unlink(self, meta: Meta) -> None:
        for owner in meta.ownerReferences:
            dependents = self._dependents.get(owner.uid)
            if dependents is not None:
                dependents.discard(meta.uid)
                if not dependents:
                    del self._dependents[owner.uid]

    def _remove(self, meta: Meta) -> None:
        known = self._nodes.pop(meta.uid, None)
        if known is not None:
            self._unlink(known[1])
            for owner in known[1].ownerReferences:
                self._queue.add(owner.uid)
        for dependent in self._dependents.get(meta.uid, ()):
            self._queue.add(dependent)

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._step(uid)
                self._queue.forget(uid)
            except ApiError as error:
                if error.code not in (404, 409):
                    log.info("garbage collector: %s", error)
                if error.code != 404:
                    self._queue.add_rate_limited(uid)
            except Exception:
                log.exception("garbage collector failed")
                self._queue.add_rate_limited(uid)
            finally:
                self._queue.done(uid)

    async def _step(self, uid: str) -> None:
        known = self._nodes.get(uid)
        if known is None:
            return
        resource, meta = known
        if meta.deletionTimestamp:
            if ORPHAN in meta.finalizers:
                await self._orphan(resource, meta)
            elif FOREGROUND in meta.finalizers:
                await self._foreground(resource, meta)
            return
        if meta.ownerReferences:
            await self._check_owners(resource, meta)

    async def _check_owners(self, resource: Resource, meta: Meta) -> None:
        """Delete what has only owners that are gone; let go of those that are gone if one is left."""
        solid: list[Owner] = []
        waiting: list[Owner] = []
        gone: list[Owner] = []
        for owner in meta.ownerReferences:
            found = self._nodes.get(owner.uid)
            if found is None:
                (gone if await self._is_gone(meta, owner) else solid).append(owner)
            elif self._waits(owner.uid):
                waiting.append(owner)
            else:
                solid.append(owner)
        if solid:
            if gone or waiting:
                drop = {o.uid for o in [*gone, *waiting]}
                kept = [o for o in meta.ownerReferences if o.uid not in drop]
                await self._patch(resource, meta, {"ownerReferences": msgspec.to_builtins(kept)})
            return
        dependents = self._dependents.get(meta.uid, ()) if waiting else ()
        if any(self._waits(uid) for uid in dependents):  # a circle of owners would wait for itself
            open_ = [msgspec.structs.replace(o, blockOwnerDeletion=False) for o in meta.ownerReferences]
            await self._patch(resource, meta, {"ownerReferences": msgspec.to_builtins(open_)})
        await self._delete(resource, meta, "Foreground" if dependents else "Background")

    def _waits(self, uid: str) -> bool:
        """Whether it goes when its dependents are gone."""
        found = self._nodes.get(uid)
        return found is not None and bool(found[1].deletionTimestamp) and FOREGROUND in found[1].finalizers

    async def _is_gone(self, meta: Meta, owner: Owner) -> bool:
        """An owner that the graph does not know is looked up before anything is deleted for want of it."""
        resource = self._client.scheme.by_kind(owner.apiVersion, owner.kind)
        if resource is None:
            return False  # a kind that is not served here: never delete on a guess
        path = f"{collection(resource, meta.namespace if resource.namespaced else None)}/{owner.name}"
        answer = await self._client.transport.request("GET", path)
        if answer.status == 404:
            return True
        return answer.status == 200 and _decode(answer.body).metadata.uid != owner.uid

    async def _orphan(self, resource: Resource, meta: Meta) -> None:
        for uid in list(self._dependents.get(meta.uid, ())):
            found = self._nodes.get(uid)
            if found is not None:
                kept = [o for o in found[1].ownerReferences if o.uid != meta.uid]
                await self._patch(found[0], found[1], {"ownerReferences": msgspec.to_builtins(kept)})
        await self._patch(resource, meta, {"finalizers": [f for f in meta.finalizers if f != ORPHAN]})

    async def _foreground(self, resource: Resource, meta: Meta) -> None:
        """Dependents first; those that block hold the owner until they are gone."""
        blocking = False
        for uid in list(self._dependents.get(meta.uid, ())):
            found = self._nodes.get(uid)
            if found is None:
                continue
            reference = next((o for o in found[1].ownerReferences if o.uid == meta.uid), None)
            blocking = blocking or bool(reference is not None and reference.blockOwnerDeletion)
            self._queue.add(uid)
        if not blocking:
            await self._patch(resource, meta, {"finalizers": [f for f in meta.finalizers if f != FOREGROUND]})

    def _path(self, resource: Resource, meta: Meta) -> str:
        return f"{collection(resource, meta.namespace if resource.namespaced else None)}/{meta.name}"

    async def _patch(self, resource: Resource, meta: Meta, change: dict[str, Any]) -> None:
        body = msgspec.json.encode({"metadata": {"uid": meta.uid, **change}})
        content_type = "application/merge-patch+json"
        await self._request("PATCH", self._path(resource, meta), body, content_type)

    async def _delete(self, resource: Resource, meta: Meta, propagation: str) -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation, "preconditions": {"uid": meta.uid}}
        await self._request("DELETE", self._path(resource, meta), msgspec.json.encode(options), "application/json")

    async def _request(self, method: str, path: str, body: bytes, content_type: str) -> None:
        from bareboat.client.client import checked

        checked(await self._client.transport.request(method, path, body=body, content_type=content_type))
