"""The ASGI application: authenticate, impersonate, then straight to the API; a few paths of its own beside it.

Resource requests take the shortest way: no router, no middleware. What is not the API (version, metrics, key sets) is in
the ``shell``, which is built when it is first asked for.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bareboat.api import answers
from bareboat.api.request import ApiRequest, ApiResponse, RequestInfo, parse
from bareboat.api.service import Service, forbidden
from bareboat.api.yaml_body import INLINE, unpacked
from bareboat.auth.authenticators import AuthenticatorChain, holds
from bareboat.auth.authority import Authority
from bareboat.auth.impersonation import impersonated
from bareboat.contracts.auth import Attributes, Authenticated, UserInfo
from bareboat.models.status import ApiError, Unauthorized
from bareboat.server.apps import Apps
from bareboat.server.audit.auditor import Auditor
from bareboat.server.audit.record import Record
from bareboat.server.connector import Connector
from bareboat.server.deadlines import Task
from bareboat.server.edge import Edge
from bareboat.server.exchange import Scope, check_path, credentials_of, headers_of, marked, read_body, request_of
from bareboat.server.fairness.level import Seat
from bareboat.server.heading import long_running
from bareboat.server.health import Health
from bareboat.server.immediate import Immediate
from bareboat.server.visit import deliver, failed

log = logging.getLogger("bareboat.server")
_API = ("/api", "/openapi")
#: Tokens whose user is remembered per connection: a proxy in front of many users shows many.
TOKENS = 16


class _Visit:
    """One request on its way through."""

    __slots__ = ("audit_id", "long", "marks", "real", "record", "seat", "shown", "task")

    def __init__(self, task: Task, audit_id: str) -> None:
        self.task = task
        self.audit_id = audit_id
        #: headers that every answer to it carries
        self.marks: list[tuple[bytes, bytes]] = [(b"audit-id", audit_id.encode("latin-1"))]
        self.seat: Seat | None = None
        #: who the client is, where it acts as somebody else
        self.real: UserInfo | None = None
        self.record: Record | None = None
        #: the status of an answer that somebody else has sent
        self.shown = 200
        self.long = False

    def leave(self) -> None:
        if self.seat is not None:
            self.seat.release()
            self.seat = None


class App:
    """One API server's application."""

    def __init__(
        self,
        service: Service,
        authenticators: AuthenticatorChain,
        authority: Authority,
        health: Health,
        connector: Connector,
        shell: Any,
        edge: Edge,
        apps: Apps | None = None,
    ) -> None:
        self._apps = apps or Apps()
        self._service = service
        self._authenticators = authenticators
        self._authority = authority
        self._health = health
        self._connector = connector
        self._shell = shell
        self._edge = edge
        self._fairness = edge.fairness
        self._deadlines = edge.deadlines
        self._streams = edge.streams
        self._unpacking = asyncio.Lock()
        #: for the listener
        self.immediate = Immediate(service, authenticators, authority, edge)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            with self._streams.counted():
                await self._websocket(scope, receive, send)
            return
        headers = headers_of(scope)
        visit = _Visit(self._deadlines.begin(), self._edge.ids.next(headers.get("audit-id", "")))
        try:
            response = await self._outcome(visit, scope, headers, receive, send)
            if visit.record is not None:
                recorded = visit.record.answered(response or ApiResponse(visit.shown))
                response = response and recorded
            if response is not None and not response.hijacked:
                await deliver(self._edge, visit, response, headers, receive, send)
        except asyncio.CancelledError:
            if not self._deadlines.late(visit.task):
                raise
            visit.task.uncancel()
            scope["extensions"]["drop"]()
        finally:
            visit.leave()
            self._deadlines.end(visit.task)

    async def _outcome(self, visit: _Visit, scope: Scope, headers: dict[str, str], receive: Any, send: Any) -> ApiResponse | None:
        try:
            return await self._respond(visit, scope, headers, receive, send)
        except BaseException as error:  # noqa: BLE001  whatever is no answer is raised again
            return failed(error, visit, self._deadlines, f"{scope['method']} {scope['path']}")

    async def _respond(self, visit: _Visit, scope: Scope, headers: dict[str, str], receive: Any, send: Any) -> ApiResponse | None:
        request = await self._request(visit, scope, headers)
        user, info = request.user, request.info
        assert info is not None
        await self._enter(visit, scope, request, info)
        if request.path.startswith(_API):
            if request.method not in ("GET", "HEAD"):
                request.body = await read_body(receive, headers)
            if visit.long:
                self._deadlines.end(visit.task)
            if len(request.body) > INLINE:
                async with unpacked(request.body, request.content_type, self._unpacking):
                    return await self._service.handle(request)
            return await self._service.handle(request)
        await self._authorize_path(user, scope["method"].lower(), request.path)
        if self._apps.concern(request.path):
            self._deadlines.end(visit.task)  # what a plugin's application does, and for how long, is its own affair
            visit.leave()
            await self._apps.call(user, scope, receive, marked(send, visit))
            return None
        query = scope["query_string"]
        found = self._health.answer(request.path, query) or self._edge.page(request.path, query)
        if found is not None:
            return found
        await (await self._shell.get())(scope, receive, marked(send, visit))
        return None

    async def _request(self, visit: _Visit, scope: Scope, headers: dict[str, str]) -> ApiRequest:
        """The request without its body, its client known, its record begun. Raises Unauthorized, Forbidden, BadRequest."""
        auditor = self._edge.auditor
        try:
            user = await self._user(visit, scope, headers)
        except Unauthorized:
            if auditor is not None:
                _unauthenticated(auditor, visit, scope, headers)
            raise
        check_path(scope["path"])
        request = request_of(scope, headers, user, b"")
        info = request.info = parse(request.method, request.path, request.query)
        if auditor is not None:
            if auditor.full:
                await auditor.room()
            record = auditor.begin(request, info, audit_id=visit.audit_id, real=visit.real, uri=_uri(scope))
            request.trail = visit.record = record
        return request

    async def _enter(self, visit: _Visit, scope: Scope, request: ApiRequest, info: RequestInfo) -> None:
        """Past the gate. Raises Rejected, BadRequest for a timeout that is none."""
        visit.long = long_running(info)
        if visit.long:
            if info.verb != "watch":
                return
        elif "timeout" in request.query:
            self._deadlines.shorten(visit.task, request)
        place = self._fairness.place(request.user, info)
        visit.marks += place.headers
        visit.seat = self._fairness.enter(place, request, info)
        if visit.seat is None:
            visit.seat = await self._fairness.wait(place, request, info, scope["extensions"].get("lost"))

    async def _user(self, visit: _Visit, scope: Scope, headers: dict[str, str]) -> UserInfo:
        user = (await self._who(scope, headers)).user
        if "impersonate-" not in " ".join(headers):
            return user
        listed = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        acting = await impersonated(user, listed, self._authority)
        visit.real = None if acting is user else user
        return acting

    async def _who(self, scope: Scope, headers: dict[str, str]) -> Authenticated:
        """As before on this connection for the same token, while that holds. Raises Unauthorized."""
        known: dict[str, Authenticated] = scope["extensions"].setdefault("known", {})
        said = headers.get("authorization", "")
        who = known.get(said)
        if who is not None and holds(who, self._edge.clock):
            return who
        who = await self._authenticators.identify(credentials_of(scope, headers))
        if who.until > 0.0:
            if len(known) >= TOKENS:
                known.clear()
            known[said] = who
        return who

    async def _authorize_path(self, user: UserInfo, verb: str, path: str) -> None:
        decision = await self._authority.authorize(Attributes(user=user, verb=verb, path=path))
        if decision.verdict != "Allow":
            raise forbidden(RequestInfo(verb, path), user.name, decision.reason)

    async def _websocket(self, scope: Scope, receive: Any, send: Any) -> None:
        """exec, attach and port-forward: authorized here, carried to the agent by the connector."""
        headers = headers_of(scope)
        visit = _Visit(self._deadlines.begin(), self._edge.ids.next(headers.get("audit-id", "")))
        self._deadlines.end(visit.task)
        outcome = ApiResponse(101)
        try:
            request = await self._request(visit, {**scope, "method": "GET"}, headers)
            await self._connector.websocket(self._service, request, scope, receive, send)
        except ApiError as error:
            outcome = answers.failure(error)
            await receive()
            await _refuse(send, error)
        finally:
            if visit.record is not None:
                visit.record.answered(outcome)


def _uri(scope: Scope) -> str:
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _unauthenticated(auditor: Auditor, visit: _Visit, scope: Scope, headers: dict[str, str]) -> None:
    """Somebody whom nobody knows is recorded, too."""
    request = request_of(scope, headers, UserInfo(name=""), b"")
    info = parse(request.method, request.path, request.query)
    record = auditor.begin(request, info, audit_id=visit.audit_id, uri=_uri(scope))
    if record is not None:
        tried = "bearer" if "authorization" in headers else "x509"
        record.unauthenticated(f"Authentication failed, attempted: {tried}")


async def _refuse(send: Any, error: ApiError) -> None:
    """Answer a handshake with a Status, as HTTP."""
    response = answers.failure(error)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response.body))]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": head})
    await send({"type": "websocket.http.response.body", "body": response.body})
