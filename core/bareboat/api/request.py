"""What a client asks: the request as it came, and what its path and method mean (upstream's RequestInfo).

/api/v1/namespaces/NS/pods/NAME/log        group "", version v1, resource pods, subresource log
/apis/apps/v1/deployments?watch=1          group apps, all namespaces, verb watch
/api/v1/namespaces/NS/finalize             resource namespaces, name NS, subresource finalize
/healthz                                   a path that is no resource
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from bareboat.api.trail import Trail
from bareboat.base.memo import remembered
from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.contracts.selection import field_requirements, label_requirements
from bareboat.models.status import BadRequest

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
_COLLECTIONS = frozenset({"list", "watch", "deletecollection"})
_NAMESPACE_PARTS = frozenset({"status", "finalize"})


class ApiRequest(msgspec.Struct):
    """``query`` has every value of every parameter; ``path`` is decoded; ``body`` complete."""

    user: UserInfo
    method: str
    path: str
    query: dict[str, list[str]] = {}
    body: bytes = b""
    content_type: str = ""
    accept: str = ""
    user_agent: str = ""
    remote: str = ""
    #: of an upgrade request: a function that hands the connection over
    connection: object = None
    headers: dict[str, str] = {}
    #: what method, path and query mean, if somebody has worked it out already
    info: RequestInfo | None = None
    #: who records it
    trail: Trail | None = None
    #: a list is wanted as the bytes of its objects, not joined
    apart: bool = False
    #: the body was encoded in this process: no key is in it twice
    ours: bool = False

    def first(self, name: str, default: str = "") -> str:
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Upstream takes "true" and "1" and the like; anything else that is there is refused."""
        value = self.first(name).lower()
        if value in ("", "0", "f", "false"):
            return False
        if value in ("1", "t", "true"):
            return True
        raise BadRequest(f'strconv.ParseBool: parsing "{value}": invalid syntax')


class ApiResponse(msgspec.Struct):
    """Either ``body`` or ``stream`` (a watch or a log, in chunks). ``follow`` does the same as ``stream``, which is then not begun, on
    a connection that takes HTTP chunks (api.verbs.stream.Sink). ``pieces``: a large body, in place of ``body``. ``hijacked``: the
    connection was taken over, nothing to send."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    warnings: list[str] = []
    stream: AsyncIterator[bytes] | None = None
    hijacked: bool = False
    follow: Callable[[Any], Awaitable[None]] | None = None
    pieces: Pieces | None = None

    def whole(self) -> bytes:
        """The body, in pieces or not."""
        return self.body if self.pieces is None else b"".join(self.pieces)


class Pieces(Protocol):
    """A list as bytes that are joined while they are sent, as often as somebody goes through them."""

    #: of all of them
    length: int
    #: the objects of the list, each with its kind, and the list's metadata
    bodies: Sequence[bytes]
    meta: dict[str, Any]

    def __iter__(self) -> Iterator[bytes]: ...


class RequestInfo(msgspec.Struct, frozen=True):
    """``verb`` as RBAC names it. ``resource`` "" means that ``path`` is no resource. ``fields`` and ``labels`` are the selectors of
    a collection as they came."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""
    fields: str = ""
    labels: str = ""

    def attributes(self, user: UserInfo) -> Attributes:
        fields = field_requirements(self.fields) if self.fields else ()
        named = next((f.values[0] for f in fields if f.key == "metadata.name" and f.operator == "In"), "") if fields else ""
        return Attributes(
            user=user,
            verb=self.verb,
            group=self.group,
            version=self.version,
            resource=self.resource,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name or named,
            path=self.path if not self.resource else "",
            fields=fields,
            labels=label_requirements(self.labels) if self.labels else (),
        )


def parse(method: str, path: str, query: dict[str, list[str]]) -> RequestInfo:
    """Never fails: what is no resource path is a non-resource request."""
    return _posted(path) if method == "POST" and not query else _parsed(method, path, query)


@remembered(1024)
def _posted(path: str) -> RequestInfo:
    """Creates name collections, so the same few paths come again and again."""
    return _parsed("POST", path, {})


def _parsed(method: str, path: str, query: dict[str, list[str]]) -> RequestInfo:
    parts = [p for p in path.split("/") if p]
    verb = _VERBS.get(method, method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(verb, path)
    watching = False
    if rest[0] == "watch" and len(rest) > 1:  # the old form of a watch
        watching, rest = True, rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_PARTS:
            rest = rest[2:]
    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    verb = _collection_verb(verb, name, query, watching)
    fields = labels = ""
    if query and verb in _COLLECTIONS:
        fields, labels = query.get("fieldSelector", [""])[0], query.get("labelSelector", [""])[0]
    return RequestInfo(verb, path, group, version, resource, subresource, namespace, name, "/".join(rest[3:]), fields, labels)


def _collection_verb(verb: str, name: str, query: dict[str, list[str]], watching: bool) -> str:
    if verb == "get":
        if watching or query.get("watch", [""])[0].lower() in ("1", "true", "t"):
            return "watch"
        return "get" if name else "list"
    if verb == "delete" and not name:
        return "deletecollection"
    return verb
