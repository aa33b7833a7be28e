"""uvicorn's cycle of one request and its response, with a short way for a response that is there as a whole: one write.

Head and body in one piece are one TLS record and one system call less, and the ASGI messages between are saved. What ASGI offers
is all still there, for everything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

#: A body up to here goes into one TLS record with its head; to copy a larger one costs more than a record.
COPIED = 64 * 1024
Headers = Sequence[tuple[bytes, bytes]]


class Cycle(RequestResponseCycle):
    """``whole`` or ``chunked`` instead of ``send``, once and for all of the response."""

    #: what is the same for most until they are answered
    access_log = disconnected = waiting_for_100_continue = response_started = response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    default_headers: list[tuple[bytes, bytes]] = []
    _tell: Callable[[], None] | None = None

    def whole(self, status: int, headers: Headers, body: bytes) -> bool:
        """False: it cannot be sent so (the client reads slowly or is gone, a header is odd); nothing was sent."""
        if self.response_started or self.disconnected or self.flow.write_paused:
            return False
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        if head.count(b"\n") != len(headers) or head.count(b"\r") != len(headers) or b"\x00" in head or b"connection: " in head:
            return False
        if (b"connection", b"close") in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            head += b"connection: close\r\n"
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        head = b"%b%b\r\n" % (STATUS_LINE[status], head)
        if self.scope["method"] == "HEAD":
            self.transport.write(head)
        elif len(body) <= COPIED:
            self.transport.write(head + body)
        else:
            self.transport.writelines([head, body])  # one system call as well
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True

    async def chunked(self, status: int, headers: Headers, follow: Callable[[Any], Awaitable[None]]) -> None:
        """A response in chunks that ``follow`` writes to this cycle (api.verbs.stream.Sink)."""
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        try:
            await follow(self)
            if not self.disconnected:
                await self.send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._tell = None

    @property
    def gone(self) -> bool:
        return self.disconnected

    @property
    def paused(self) -> bool:
        return self.flow.write_paused

    def write(self, data: bytes) -> None:
        if not self.disconnected:
            self.transport.write(data)

    def offer(self, pieces: Sequence[bytes]) -> bool:
        if self.disconnected:
            return False
        for data in pieces:
            self.transport.write(data)
        return not self.flow.write_paused

    async def drain(self) -> None:
        await self.flow.drain()

    def abort(self) -> None:
        self.transport.abort()

    def on_gone(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def lost(self) -> None:
        """The protocol says that the connection is gone."""
        self.disconnected = True
        if self._tell is not None:
            self._tell()


def at_once(send: Any, status: int, headers: Headers, body: bytes) -> bool:
    """Send a response as a whole, if ``send`` is a cycle's and it can be done."""
    cycle = getattr(send, "__self__", None)
    return isinstance(cycle, Cycle) and cycle.whole(status, headers, body)


def cycle_of(send: Any) -> Cycle | None:
    """The cycle that ``send`` belongs to, if it is one of ours and its response may come in chunks."""
    cycle = getattr(send, "__self__", None)
    return cycle if isinstance(cycle, Cycle) and cycle.scope["method"] != "HEAD" else None
