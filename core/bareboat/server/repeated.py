"""Requests whose header block is known: who asks, and how, is known from those before, so they skip ASGI and all that asks for it.

In: a ``Heading``, the request line and the whole body. Out: an ``Exchange``, which goes through the same gate, service and deadlines as
every other request; None for whatever is out of the ordinary: then the request goes the usual way. What is watched, recorded by audit,
done in somebody else's name or limited by its client is out of the ordinary.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.api.service import Service
from bareboat.api.yaml_body import INLINE
from bareboat.auth.authenticators import holds
from bareboat.contracts.auth import UserInfo
from bareboat.server.cycle import COPIED, Cycle, Headers
from bareboat.server.edge import Edge
from bareboat.server.fairness.level import Seat
from bareboat.server.heading import Heading, Line, line_of
from bareboat.server.visit import deliver, failed

if TYPE_CHECKING:
    from bareboat.server.audit.record import Record
    from bareboat.server.deadlines import Task
    from bareboat.server.fairness.gate import Place
    from bareboat.server.repeats import RepeatingHttpProtocol

log = logging.getLogger("bareboat.server")
_JSON: Final = "application/json"
_HEAD: Final = b"%bcontent-type: application/json\r\ncache-control: no-cache, private\r\naudit-id: %b\r\n%bcontent-length: %d\r\n\r\n%b"


class Exchange(Cycle):
    """One request and its response. What ASGI asks for is made when somebody asks: an answer may still be a stream."""

    record: Record | None = None
    keep_alive = True
    more_body = False
    seat: Seat | None = None
    task: Task

    def __init__(self, protocol: RepeatingHttpProtocol, heading: Heading, line: Line, user: UserInfo, place: Place, audit_id: str) -> None:
        self.protocol = protocol
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.heading = heading
        self.named = heading.named
        self.line = line
        self.user = user
        self.place = place
        self.audit_id = audit_id

    @cached_property
    def scope(self) -> Any:  # type: ignore[override]
        return self.protocol.scope_of(self.heading, self.line.method, self.line.raw_path, self.line.query_string)

    @cached_property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        return asyncio.Event()

    @cached_property
    def body(self) -> bytearray:  # type: ignore[override]
        """What was not read yet: nothing."""
        return bytearray()

    def on_response(self) -> None:
        self.protocol.answered()

    @property
    def marks(self) -> Headers:
        return [(b"audit-id", self.audit_id.encode("latin-1")), *self.place.headers]

    def finish(self) -> None:
        """The task ends here."""
        self.protocol.tasks.discard(self.task)
        if not self.response_complete and not self.disconnected:
            self.transport.close()

    def leave(self) -> None:
        seat, self.seat = self.seat, None
        if seat is not None:
            seat.release()

    def plainly(self, response: ApiResponse) -> bool:
        """Send what is JSON and nothing more; False: it is more."""
        body = response.body
        if (
            response.content_type != _JSON
            or response.headers
            or response.warnings
            or response.stream is not None
            or response.pieces is not None
            or response.hijacked
            or len(body) > COPIED
            or not self.keep_alive
            or self.disconnected
            or self.flow.write_paused
        ):
            return False
        self.response_started = self.response_complete = True
        head = STATUS_LINE[response.status], self.audit_id.encode("ascii"), self.place.text
        self.transport.write(_HEAD % (*head, len(body), body))
        self.protocol.answered()
        return True


class Repeated:
    """Of one server."""

    def __init__(self, service: Service, edge: Edge) -> None:
        self._service = service
        self._edge = edge
        self._fairness = edge.fairness
        self._deadlines = edge.deadlines
        self._clock = edge.clock

    def exchange(self, protocol: RepeatingHttpProtocol, heading: Heading, text: bytes, length: int) -> Exchange | None:
        """For a request with a body of that length; ``run`` must follow."""
        line = heading.line
        if line is None or line.text != text:
            line, heading.flows = line_of(text), -1
            if line is None:
                return None
            heading.line = line
        if heading.singular or length > INLINE or self._edge.auditor is not None:
            return None
        who = heading.known.get(heading.said)
        if who is None or not holds(who, self._clock):
            return None
        user, place = who.user, heading.place
        if place is None or heading.flows != self._fairness.changes or heading.user is not user:
            place = heading.place = self._fairness.place(user, line.info)
            heading.flows, heading.user = self._fairness.changes, user
        return Exchange(protocol, heading, line, user, place, self._edge.ids.next())

    async def run(self, exchange: Exchange, body: bytes) -> None:
        """As a task, which ``exchange`` knows."""
        task, deadlines = exchange.task, self._deadlines
        deadlines.begin(task)
        try:
            try:
                response: ApiResponse | None = await self._answer(exchange, body)
            except BaseException as error:  # noqa: BLE001  whatever is no answer is raised again
                response = failed(error, exchange, deadlines, f"{exchange.line.method} {exchange.line.path}")
            if response is not None and not exchange.plainly(response) and not response.hijacked:
                await deliver(self._edge, exchange, response, exchange.named, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not deadlines.late(task):
                raise
            task.uncancel()
            exchange.abort()
        except Exception:
            log.exception("%s %s could not be answered", exchange.line.method, exchange.line.path)
        finally:
            exchange.leave()
            deadlines.end(task)
            exchange.finish()

    async def _answer(self, exchange: Exchange, body: bytes) -> ApiResponse:
        heading, line, place = exchange.heading, exchange.line, exchange.place
        request = ApiRequest(
            exchange.user,
            line.method,
            line.path,
            dict(line.query),
            body,
            heading.content_type,
            heading.accept,
            heading.user_agent,
            heading.remote,
            None,
            exchange.named,
            line.info,
        )
        seat = self._fairness.enter(place, request, line.info)
        if seat is None:
            seat = await self._fairness.wait(place, request, line.info, heading.scope["extensions"].get("lost"))
        exchange.seat = seat
        return await self._service.handle(request)
