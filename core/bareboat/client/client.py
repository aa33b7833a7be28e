"""Typed verbs over any transport: Structs in, Structs out, errors as ``models.status.ApiError``.

Nothing is cached and nothing is retried here; that is ``reconcile``'s.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from bareboat.client.transport import Answer, EventType, RawEvent, Sharing, Transport
from bareboat.models.codec import decode, encode
from bareboat.models.scheme import Resource, Scheme
from bareboat.models.status import ApiError, from_status

T = TypeVar("T", bound=msgspec.Struct)
PatchType = Literal["merge", "json", "strategic", "apply"]

CONTENT_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Listing(msgspec.Struct, Generic[T]):
    """``continue_`` is not empty when there is more."""

    items: list[T]
    resource_version: str = ""
    continue_: str = ""


class Event(msgspec.Struct, Generic[T]):
    """``object`` is None for a bookmark."""

    type: EventType
    object: T | None
    resource_version: str = ""


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _RawList(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _RawMeta(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _RawItem(msgspec.Struct):
    metadata: _RawMeta


_decode_list = msgspec.json.Decoder(_RawList).decode
_decode_item = msgspec.json.Decoder(_RawItem).decode


class Client:
    """The verbs for one identity."""

    def __init__(self, transport: Transport, scheme: Scheme) -> None:
        self.transport = transport
        self.scheme = scheme

    async def get(self, cls: type[T], name: str, namespace: str = "", *, subresource: str = "") -> T:
        answer = await self.transport.request("GET", self.path(cls, namespace, name, subresource))
        return decode(cls, checked(answer).body)

    async def list(
        self,
        cls: type[T],
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str = "",
    ) -> Listing[T]:
        """``namespace`` None lists all namespaces."""
        resource = self.scheme.by_type(cls)
        query = _query(labelSelector=labels, fieldSelector=fields, limit=limit, **{"continue": continue_}, resourceVersion=resource_version)
        answer = await self.transport.request("GET", collection(resource, namespace), query=query)
        found = _decode_list(checked(answer).body)
        items = [decode(cls, bytes(raw)) for raw in found.items or ()]
        return Listing(items, found.metadata.resourceVersion, found.metadata.continue_)

    async def create(self, obj: T, *, subresource: str = "", name: str = "", field_manager: str = "", dry_run: bool = False) -> T:
        """For a subresource (pods/binding, pods/eviction) use ``post``."""
        meta = cast(Any, obj).metadata
        path = self.path(type(obj), meta.namespace, name, subresource)
        query = _query(fieldManager=field_manager, dryRun="All" if dry_run else "")
        answer = await self.transport.request("POST", path, query=query, body=encode(obj))
        return decode(type(obj), checked(answer).body)

    async def create_named(self, obj: msgspec.Struct) -> str:
        """The name that it got: for who makes many and needs no more of them."""
        path = self.path(type(obj), cast(Any, obj).metadata.namespace)
        answer = await self.transport.request("POST", path, body=encode(obj))
        return _decode_item(checked(answer).body).metadata.name

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False) -> T:
        """With the object's resourceVersion: Conflict if it changed since."""
        meta = cast(Any, obj).metadata
        path = self.path(type(obj), meta.namespace, meta.name, subresource)
        answer = await self.transport.request("PUT", path, query=_query(dryRun="All" if dry_run else ""), body=encode(obj))
        return decode(type(obj), checked(answer).body)

    async def patch(
        self,
        cls: type[T],
        name: str,
        patch: dict[str, Any] | builtins.list[Any] | bytes,
        namespace: str = "",
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> T:
        """Runs on the newest object unless the patch carries a resourceVersion."""
        query = _query(fieldManager=field_manager, force="true" if force else "", dryRun="All" if dry_run else "")
        body = patch if isinstance(patch, bytes) else msgspec.json.encode(patch)
        path = self.path(cls, namespace, name, subresource)
        answer = await self.transport.request("PATCH", path, query=query, body=body, content_type=CONTENT_TYPES[type])
        return decode(cls, checked(answer).body)

    async def delete(
        self,
        cls: type[msgspec.Struct],
        name: str,
        namespace: str = "",
        *,
        grace_seconds: int | None = None,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> None:
        """Raises NotFound if it is gone already, Conflict if ``uid`` or ``resource_version`` no longer match."""
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation:
            options["propagationPolicy"] = propagation
        preconditions = _query(uid=uid, resourceVersion=resource_version)
        if preconditions:
            options["preconditions"] = preconditions
        answer = await self.transport.request("DELETE", self.path(cls, namespace, name), body=msgspec.json.encode(options))
        checked(answer)

    async def delete_collection(self, cls: type[msgspec.Struct], namespace: str | None, *, labels: str = "", fields: str = "") -> None:
        path = collection(self.scheme.by_type(cls), namespace)
        checked(await self.transport.request("DELETE", path, query=_query(labelSelector=labels, fieldSelector=fields)))

    async def post(self, path: str, body: msgspec.Struct | dict[str, Any]) -> dict[str, Any]:
        """Anything that is no plain create: bindings, evictions, token requests, reviews."""
        data = msgspec.json.encode(body) if isinstance(body, dict) else encode(body)
        answer = await self.transport.request("POST", path, body=data)
        tree: dict[str, Any] = msgspec.json.decode(checked(answer).body)
        return tree

    async def watch(
        self,
        cls: type[T],
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        bookmarks: bool = True,
        send_initial: bool = False,
    ) -> AsyncIterator[Event[T]]:
        """Typed events; ends when the server ends the watch. Raises Gone when ``resource_version`` is too old."""
        resource = self.scheme.by_type(cls)
        events = self.watch_raw(
            resource,
            namespace,
            labels=labels,
            fields=fields,
            resource_version=resource_version,
            bookmarks=bookmarks,
            send_initial=send_initial,
        )
        async for event in events:
            obj = None if event.type == "BOOKMARK" else decode(cls, event.object)
            yield Event(event.type, obj, str(event.resource_version))

    async def list_raw(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[builtins.list[tuple[str, str, bytes]], str]:
        """(namespace, name, full JSON) of every object, and the revision of the list; read in pages."""
        found: builtins.list[tuple[str, str, bytes]] = []
        token = ""
        while True:
            query = _query(labelSelector=labels, fieldSelector=fields, limit=500, **{"continue": token})
            objects, meta = await self._page(resource, collection(resource, namespace), query)
            await asyncio.sleep(0)  # inside the server nothing else lets others have their turn
            for data in objects:
                about = _decode_item(data).metadata
                found.append((about.namespace, about.name, data))
            token = meta.continue_
            if not token:
                return found, meta.resourceVersion
            await asyncio.sleep(0)

    async def _page(self, resource: Resource, path: str, query: dict[str, str]) -> tuple[Sequence[bytes], _ListMeta]:
        """With kind and version, which items of lists do not have."""
        if isinstance(self.transport, Sharing):
            listed = await self.transport.listing(path, query=query)
            if not isinstance(listed, Answer):
                return listed[0], msgspec.convert(listed[1], _ListMeta)
            answer = listed
        else:
            answer = await self.transport.request("GET", path, query=query)
        page = _decode_list(checked(answer).body)
        head = f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode()
        items = (bytes(raw) for raw in page.items or ())
        return [item if item.startswith(b'{"kind"') else head + item[1:] for item in items], page.metadata

    def watch_raw(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        bookmarks: bool = True,
        send_initial: bool = False,
    ) -> AsyncIterator[RawEvent]:
        query = _query(
            watch="true",
            labelSelector=labels,
            fieldSelector=fields,
            resourceVersion=resource_version,
            allowWatchBookmarks="true" if bookmarks else "",
            **({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"} if send_initial else {}),
        )
        return self.transport.watch(collection(resource, namespace), query=query)

    def path(self, cls: type[msgspec.Struct], namespace: str, name: str = "", subresource: str = "") -> str:
        path = collection(self.scheme.by_type(cls), namespace)
        return "/".join([path, *([name] if name else []), *([subresource] if subresource else [])])


def collection(resource: Resource, namespace: str | None) -> str:
    """The path of a resource's collection; ``namespace`` None or "" is all of them."""
    if resource.namespaced and namespace:
        return f"{resource.path_prefix}/namespaces/{namespace}/{resource.plural}"
    return f"{resource.path_prefix}/{resource.plural}"


def checked(answer: Answer) -> Answer:
    """The answer, or the ApiError that it reports."""
    if answer.status < 400:
        return answer
    try:
        tree = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        tree = {}
    raise from_status(tree if isinstance(tree, dict) else {}, answer.status)


def error_of(data: bytes) -> ApiError:
    """The error that an ERROR event carries."""
    return from_status(msgspec.json.decode(data))


def _query(**values: str | int) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value}
