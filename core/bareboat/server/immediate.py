"""Reads that are answered before the event loop goes on: what such a request depends on was worked out by one before it.

In: the header block of a request, byte for byte the same as that of an earlier one on the same connection, and the path. Out: the
whole response as bytes, or None: then the request goes the usual way, which is always right. Who asks, whether they may, and which
level the request belongs to are kept in a ``Plan`` for all objects of a resource in a namespace, or for one list. A plan holds while
nothing has changed that it follows from: the objects behind a token, the rules (contracts.auth.Authorizer.stamp), the flow schemas.
Refusals, absent objects and everything out of the ordinary are no business of this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from bareboat.api import answers
from bareboat.api.listing import Listing, listing_of
from bareboat.api.operation import Operation
from bareboat.api.request import ApiRequest, RequestInfo
from bareboat.api.request_metrics import Labels, labels_of
from bareboat.api.service import Service
from bareboat.auth.authenticators import AuthenticatorChain, holds
from bareboat.auth.authority import Authority
from bareboat.base.tasks import Tasks
from bareboat.contracts.auth import Authenticated
from bareboat.models.status import ApiError
from bareboat.server.edge import Edge
from bareboat.server.exchange import GZIP_FROM, PIECE, credentials_of, headers_of, request_of
from bareboat.server.fairness.gate import Place
from bareboat.server.heading import Heading, Line, line_of
from bareboat.server.repeated import Repeated

#: Plans that one header block may have, and resources of which one request has been seen; the longest path with its query.
KEPT, LONGEST = 256, 1024
_NAME = re.compile(rb"[a-z0-9][-a-z0-9.]*")
_START = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-cache, private\r\naudit-id: "
#: Headers that make each request a matter of its own.
_SINGULAR = ("audit-id", "impersonate-")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for every object under one path, or each time for a list. ``rules`` and ``flows`` say since when."""

    who: Authenticated
    rules: object
    flows: int
    place: Place
    request: ApiRequest
    info: RequestInfo
    #: of an object's key in the store
    prefix: str
    labels: Labels
    #: of the response, after the id
    tail: bytes
    listing: Listing | None
    #: that one list may be, in bytes
    largest: int


class Immediate:
    """Of one server."""

    def __init__(self, service: Service, authenticators: AuthenticatorChain, authority: Authority, edge: Edge) -> None:
        self._service = service
        self._authenticators = authenticators
        self._authority = authority
        self._fairness = edge.fairness
        self._clock = edge.clock
        self._ids = edge.ids
        self._tasks = Tasks()
        #: for what cannot be answered at once
        self.repeated = Repeated(service, edge)
        self.able = edge.auditor is None and not service.log.shared

    def answer(self, heading: Heading, target: bytes) -> bytes | None:
        """``target`` as in the request line."""
        began = self._clock.monotonic()
        under = collection = target[: target.rfind(b"/") + 1]
        plan = heading.plans.get(under)
        if plan is None:
            plan = heading.plans.get(under := target)
        if plan is None:
            self._missed(heading, collection, target)
            return None
        if not self._holds(plan):
            del heading.plans[under]
            return None
        response = self._object(plan, target[len(under) :]) if plan.listing is None else self._list(plan, plan.listing)
        if response is not None:
            self._service.requests.answered(plan.labels, 200, self._clock.monotonic() - began)
        return response

    def _object(self, plan: Plan, name: bytes) -> bytes | None:
        if _NAME.fullmatch(name) is None:
            return None
        entry = self._service.log.get(plan.prefix + name.decode("ascii"))
        if entry is None or len(entry.data) > GZIP_FROM or not self._fairness.passes(plan.place):
            return None
        data = entry.data
        return b"%b%b%b%d\r\n\r\n%b" % (_START, self._ids.next().encode(), plan.tail, len(data), data)

    def _list(self, plan: Plan, listing: Listing) -> bytes | None:
        objects = listing.found(plan.largest)
        seat = self._fairness.enter(plan.place, plan.request, plan.info) if objects is not None else None
        if objects is None or seat is None:
            return None
        seat.release()
        return listing.answer(b"%b%b%b" % (_START, self._ids.next().encode(), plan.tail), objects)

    def _holds(self, plan: Plan) -> bool:
        if plan.flows != self._fairness.changes or plan.rules != self._authority.stamp(plan.who.user):
            return False
        return holds(plan.who, self._clock)

    def _missed(self, heading: Heading, collection: bytes, target: bytes) -> None:
        """The second request under a path is worth a plan, or the second of the same list."""
        under = target if b"?" in target else collection
        if not self.able or under in heading.usual or target in heading.usual or len(target) > LONGEST:
            return
        if under not in heading.seen:
            if len(heading.seen) >= KEPT:
                heading.seen.clear()
            heading.seen.add(under)
            return
        heading.seen.discard(under)
        if len(heading.plans) + len(heading.usual) >= KEPT:
            heading.plans.clear()
            heading.usual.clear()
        self._tasks.spawn(self._settle(heading, collection, target), name="plan")

    async def _settle(self, heading: Heading, collection: bytes, target: bytes) -> None:
        line = line_of(b"GET %b HTTP/1.1" % target)
        under = target if line is None or line.info.verb == "list" or line.query_string else collection
        plan = await self._plan(heading, line) if line is not None else None
        if plan is not None:
            heading.plans[under] = plan
        else:
            heading.usual.add(under)

    async def _plan(self, heading: Heading, line: Line) -> Plan | None:
        """What the usual way finds out one step after the other; None for whatever is not quite usual."""
        if not _ordinary(line):
            return None
        info = line.info
        scope = {**heading.scope, "method": "GET", "path": line.path, "raw_path": line.raw_path, "query_string": line.query_string}
        headers = headers_of(scope)
        if any(name.startswith(_SINGULAR) for name in headers):
            return None
        try:
            who = await self._authenticators.identify(credentials_of(scope, headers))
            rules = self._authority.stamp(who.user)
            if who.until == 0.0 or rules is None or not await self._may_get_all(who, info):
                return None
            request = request_of(scope, headers, who.user, b"")
            op = self._service.operation(request, info)
            plain = answers.negotiate(request) == answers.PLAIN
            listing = await listing_of(self._service, op) if info.verb == "list" else None
        except ApiError:
            return None
        place = self._fairness.place(who.user, info)
        if not plain or not self._stored_as_served(op) or (place.width if info.verb == "get" else listing is None):
            return None
        tail = b"\r\n%bcontent-length: " % place.text
        largest = GZIP_FROM if "gzip" in headers.get("accept-encoding", "") else PIECE
        return Plan(who, rules, self._fairness.changes, place, request, info, op.key(""), labels_of(info), tail, listing, largest)

    async def _may_get_all(self, who: Authenticated, info: RequestInfo) -> bool:
        decision = await self._authority.authorize(msgspec.structs.replace(info, name="").attributes(who.user))
        return decision.verdict == "Allow"

    def _stored_as_served(self, op: Operation) -> bool:
        return op.same_version and op.custom is None and not op.warnings and (op.resource.key, "") not in self._service.virtual


def _ordinary(line: Line) -> bool:
    """An object or a list of some, spelled in the one way that is no second spelling of another."""
    info = line.info
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    space = f"/namespaces/{info.namespace}" if info.namespace else ""
    name = f"/{info.name}" if info.name else ""
    if info.subresource or info.rest or line.raw_path != f"{root}{space}/{info.resource}{name}".encode():
        return False
    return info.verb == "list" or (info.verb == "get" and not line.query_string and info.resource != "namespaces")
