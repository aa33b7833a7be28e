"""Informers: the objects of one kind as they are now, kept by list and watch, and told of key by key.

Kept are bytes, not Structs: ``get`` decodes a fresh one for whoever asks, so nobody can change what others see, and inside
the server the bytes are the store's own. A view, a Struct of the few fields that indexes and callbacks need, is decoded once per
change for all that name it.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from bareboat.base.backoff import Backoff
from bareboat.base.wide import WideDict, WideSet
from bareboat.client.client import Client
from bareboat.models.codec import decode
from bareboat.models.status import ApiError, Gone
from bareboat.reconcile.state import Index, State

log = logging.getLogger("bareboat.informer")
#: States whose views are kept for the next change, which often follows at once.
KEPT = 256
T = TypeVar("T", bound=msgspec.Struct)
#: Objects that are taken in before others have their turn.
PORTION = 16
OnChange = Callable[[str, bytes | None, bytes | None], None]
#: The same with the old and the new state as a view. Shared by all who are told of the same change: not to be written to.
OnView = Callable[[str, Any, Any], None]
OnState = Callable[[str, State, State], None]


class Informer(Generic[T]):
    """Keys are ``namespace/name`` (``/name`` for cluster-scoped kinds). Callbacks run synchronously, after the state is updated."""

    def __init__(self, client: Client, cls: type[T], namespace: str | None = None, labels: str = "", fields: str = "") -> None:
        self.cls = cls
        self._client = client
        self._resource = client.scheme.by_type(cls)
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._objects: WideDict[str, bytes] = WideDict()
        self._callbacks: dict[Any, list[Callable[..., None]]] = {}
        self._recent: dict[str, State] = {}
        self._indexes: dict[str, Index] = {}
        self._by_view: dict[Any, list[Index]] = {}
        self._synced = asyncio.Event()
        self._revision = ""
        self._backoff = Backoff(0.2, 30.0)

    def get(self, key: str) -> T | None:
        """A fresh Struct, or None."""
        data = self._objects.get(key)
        return None if data is None else decode(self.cls, data)

    def raw(self, key: str) -> bytes | None:
        return self._objects.get(key)

    def keys(self, namespace: str | None = None) -> list[str]:
        if namespace is None:
            return list(self._objects)
        prefix = f"{namespace}/"
        return [k for k in self._objects if k.startswith(prefix)]

    def list(self, namespace: str | None = None) -> list[T]:
        return [decode(self.cls, self._objects[k]) for k in self.keys(namespace)]

    def __len__(self) -> int:
        return len(self._objects)

    def add_index(self, name: str, values: Callable[[Any], Iterable[str]], view: Any = None) -> None:
        """Find objects by what ``values`` gives for them. Before ``run``; the same name again is the same index.

        With ``view``, a Struct of the few fields that ``values`` reads, only those are decoded.
        """
        if name not in self._indexes:
            index = self._indexes[name] = Index(values)
            self._by_view.setdefault(view or self.cls, []).append(index)
            for key, data in self._objects.items():
                index.move(key, None, State(self.cls, data).of(view or self.cls))

    def by_index(self, name: str, value: str) -> builtins.list[str]:
        """Keys, sorted."""
        return sorted(self._indexes[name].keys(value))

    def index_values(self, name: str) -> builtins.list[str]:
        """The values that the index has now."""
        return self._indexes[name].values()

    def on_change(self, callback: OnChange) -> None:
        """(key, old bytes or None, new bytes or None). Objects that are there already are told at once."""
        self._add(callback, None)

    def on_view(self, callback: OnView, view: Any = None) -> None:
        """As ``on_change``, with decoded states: of ``view``, or the whole object. One and the same if nothing of the view changed."""
        self._add(callback, view or self.cls)

    def on_state(self, callback: OnState) -> None:
        """As ``on_change``, with states that can be looked at as bytes and as any view."""
        self._add(callback, State)

    def _add(self, callback: Callable[..., None], view: Any) -> None:
        self._callbacks.setdefault(view, []).append(callback)
        nothing = State(self.cls, None)
        for key, data in list(self._objects.items()):
            callback(key, *_shown(nothing, State(self.cls, data), view))

    async def synced(self) -> None:
        """Until the first list is in."""
        await self._synced.wait()

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    async def run(self) -> None:
        """List and watch until cancelled; relists when the revision is gone, waits when the server is."""
        while True:
            try:
                if not self._revision:
                    await self._list()
                await self._watch()
                self._backoff.reset()
            except Gone:
                self._revision = ""
            except ApiError as error:
                wait = self._backoff.next()
                log.info("%s: %s; trying again in %.1f s", self._resource.plural, error, wait)
                await asyncio.sleep(wait)

    async def _list(self) -> None:
        found, revision = await self._client.list_raw(self._resource, self._namespace, labels=self._labels, fields=self._fields)
        again, seen = bool(self._objects), WideSet[str]()
        found.reverse()  # so that what is taken in is let go of one by one
        while found:
            namespace, name, data = found.pop()
            key = f"{namespace}/{name}"
            if again:
                seen.add(key)
            if self._objects.get(key) != data:
                self._put(key, data)
            if len(found) % PORTION == 0:
                await asyncio.sleep(0)
        if again:
            await self._keep_only(seen)
        self._revision = revision
        self._synced.set()

    async def _keep_only(self, seen: WideSet[str]) -> None:
        """Piece by piece, and so goes what was seen: to let go of many keys takes as long as to look at them."""
        for part in self._objects.parts() if len(self._objects) > len(seen) else ():
            for number, key in enumerate([k for k in part if k not in seen], 1):
                self._remove(key)
                if number % PORTION == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
        for known in seen.parts():
            known.clear()
            await asyncio.sleep(0)

    async def _watch(self) -> None:
        events = self._client.watch_raw(
            self._resource, self._namespace, labels=self._labels, fields=self._fields, resource_version=self._revision
        )
        count = 0
        async for event in events:
            if event.type == "DELETED":
                self._remove(f"{event.namespace}/{event.name}")
            elif event.type != "BOOKMARK":
                self._put(f"{event.namespace}/{event.name}", event.object)
            self._revision = str(event.resource_version)
            count += 1
            if count % PORTION == 0:
                await asyncio.sleep(0)

    def _put(self, key: str, data: bytes) -> None:
        old = self._objects.get(key)
        self._objects[key] = data
        if not self._callbacks and not self._by_view:
            return
        before = self._views(key, old)
        after = State(self.cls, data, before)
        self._index(key, before, after)
        self._tell(key, before, after)
        if len(self._recent) >= KEPT:
            self._recent.clear()
        self._recent[key] = after.settle()

    def _remove(self, key: str) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            before, after = self._views(key, old), State(self.cls, None)
            self._index(key, before, after)
            self._tell(key, before, after)

    def _views(self, key: str, data: bytes | None) -> State:
        known = self._recent.pop(key, None)
        return known if known is not None and known.data is data else State(self.cls, data)

    def _tell(self, key: str, before: State, after: State) -> None:
        for view, callbacks in self._callbacks.items():
            try:
                old, new = _shown(before, after, view)
            except msgspec.MsgspecError:
                log.exception("%s %s cannot be shown as %s", self._resource.plural, key, view)
                continue
            for callback in callbacks:
                try:
                    callback(key, old, new)
                except Exception:
                    log.exception("a callback for %s %s failed", self._resource.plural, key)

    def _index(self, key: str, before: State, after: State) -> None:
        for view, indexes in self._by_view.items():
            was, now = before.of(view), after.of(view)
            if was is not now:
                for index in indexes:
                    index.move(key, was, now)


def _shown(before: State, after: State, view: Any) -> tuple[Any, Any]:
    """The two states as callbacks of that view get them: as bytes, as they are, or decoded."""
    if view is None:
        return before.data, after.data
    return (before, after) if view is State else (before.of(view), after.of(view))


class InformerFactory:
    """One shared informer per (kind, namespace, selectors)."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[Any, ...], Informer[Any]] = {}
        self._group: asyncio.TaskGroup | None = None

    def of(self, cls: type[T], namespace: str | None = None, labels: str = "", fields: str = "") -> Informer[T]:
        key = (cls, namespace, labels, fields)
        if key not in self._informers:
            informer = Informer(self._client, cls, namespace, labels, fields)
            self._informers[key] = informer
            if self._group is not None:
                self._group.create_task(informer.run(), name=f"informer-{cls.__name__}")
        return self._informers[key]

    async def run(self) -> None:
        """All informers, also those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for informer in list(self._informers.values()):
                group.create_task(informer.run(), name=f"informer-{informer.cls.__name__}")
            await asyncio.Event().wait()

    async def synced(self) -> None:
        for informer in list(self._informers.values()):
            await informer.synced()
