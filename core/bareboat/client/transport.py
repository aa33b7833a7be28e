"""What carries a request: bytes in, bytes out. Implemented by ``https`` and, inside the server, by ``api.inprocess``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
NO_QUERY: Mapping[str, str] = {}


class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """One watch event. ``object`` is the full JSON; inside the server it is the store's own bytes object, shared by all."""

    type: EventType
    object: bytes
    namespace: str
    name: str
    resource_version: int
    initial_end: bool = False


class Answer(msgspec.Struct, frozen=True):
    """Whatever the server said, errors included; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


#: What ``Sharing.listing`` gives: the objects and the list's metadata, or an answer like any other.
Listed = Answer | tuple[Sequence[bytes], Mapping[str, Any]]


@runtime_checkable
class Sharing(Protocol):
    """A transport inside the server may give objects of a list as the store's own bytes, as ``Transport.watch`` does."""

    async def listing(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> Listed: ...


class Transport(Protocol):
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes = b"",
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Never raises for an HTTP status; ServiceUnavailable (ApiError) when the server cannot be reached."""
        ...

    def watch(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[RawEvent]:
        """Until the server ends it. Raises ApiError (Gone when the revision is too old)."""
        ...

    async def close(self) -> None: ...


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = "0"
    annotations: dict[str, str] = {}


class _Partial(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_decode_partial = msgspec.json.Decoder(_Partial).decode
INITIAL_END = "k8s.io/initial-events-end"


def raw_event(kind: EventType, data: bytes) -> RawEvent:
    """An event from the object's bytes alone; only its metadata is decoded."""
    meta = _decode_partial(data).metadata
    ended = kind == "BOOKMARK" and meta.annotations.get(INITIAL_END) == "true"
    return RawEvent(kind, data, meta.namespace, meta.name, int(meta.resourceVersion or 0), ended)
