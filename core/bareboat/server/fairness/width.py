"""How much of the server a request takes: nothing but a turn, one seat, or several.

* one object read from memory: 0, a turn;
* a list: a seat per hundred objects that it can return, at most ten, held until the answer is written;
* a write: one seat, and one more per hundred watchers that will be told, at most ten (upstream holds such seats for some
  milliseconds after the write; here they are held during it, because the same loop tells the watchers before it answers);
* everything else (a proxied request, another server's group, a path that is no resource): one seat.
"""

from __future__ import annotations

from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.api.service import Service

MOST = 10
_OBJECTS = _WATCHERS = 100
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Widths:
    """Of the requests to one server."""

    def __init__(self, service: Service) -> None:
        self._log = service.log
        self._scheme = service.scheme
        self._service = service

    def fixed(self, info: RequestInfo) -> int:
        """The width of all requests of this kind, -1 if there is no such."""
        if info.verb == "get":
            return 0 if self._in_memory(info) else 1
        varies = info.resource and (info.verb == "list" or (info.verb in _WRITES and not info.subresource))
        return -1 if varies else 1

    def watched(self, info: RequestInfo) -> str:
        """What is watched by those whom a write tells; "" for what is no write."""
        return f"{info.group or 'core'}/{info.resource}/" if info.verb in _WRITES else ""

    def writing(self, watched: str) -> int:
        return 1 + min(MOST - 1, self._log.watchers(watched) // _WATCHERS)

    def _in_memory(self, info: RequestInfo) -> bool:
        if not info.resource or info.subresource not in ("", "status", "scale"):
            return False
        resource = self._scheme.resource(info.group, info.version, info.resource)
        return resource is not None and not resource.custom and (resource.key, "") not in self._service.virtual

    def listing(self, request: ApiRequest, info: RequestInfo) -> int:
        if "metadata.name=" in request.first("fieldSelector"):
            return 1
        prefix = f"{info.group or 'core'}/{info.resource}/"
        count = self._log.count(f"{prefix}{info.namespace}/" if info.namespace else prefix)
        limit = request.first("limit")
        if limit.isdigit() and int(limit):
            count = min(count, int(limit))
        return max(1, min(MOST, -(-count // _OBJECTS)))
