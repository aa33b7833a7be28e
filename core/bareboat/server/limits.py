"""What one connection may do before anybody knows who it is: how many there are, how long a request's head may take and be.

Closed without an answer: a connection whose request does not come, and the one that was idle for longest when there are too many.
Refused with 431: a head of too many bytes or headers. What httptools calls malformed (a length that is said twice, or in two
ways, a chunk that is none) is answered with 400 by the protocol class itself. In any case the connection is closed, so nothing
that follows can be taken for a request.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from bareboat.server.protocol import PeerHttpProtocol

log = logging.getLogger("bareboat.server")
#: Files that the server needs for other things than connections.
OTHER_FILES: Final = 256
_TOO_LARGE: Final = b"Request Header Fields Too Large"


@dataclass(frozen=True, slots=True)
class Limits:
    """``head_seconds`` until a request's head is complete; ``pipelined`` requests that wait behind the one that runs."""

    connections: int = 0
    head_seconds: float = 32.0
    head_bytes: int = 1 << 20
    headers: int = 1000
    pipelined: int = 100

    def most(self) -> int:
        """Connections at once; without a number as many as the process may have files."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return self.connections or max(OTHER_FILES, files - OTHER_FILES)


class GuardedHttpProtocol(PeerHttpProtocol):
    """The protocol with limits. ``limits`` is set per listener."""

    limits = Limits()
    most = 1 << 30
    #: when the head that is being read began; 0.0: none is
    _head_since = 0.0
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._lost: list[Callable[[], object]] = []
        self._extensions["lost"] = self._lost
        self._extensions["drop"] = transport.abort
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for tell in tuple(self._lost):
            tell()
        self._lost = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_since and self._early is None:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._refuse(b"HTTP/1.1 431 ", _TOO_LARGE)

    def on_message_begin(self) -> None:
        self._head_since, self._head_bytes = self.loop.time(), 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = 0.0
        if len(self.headers) > self.limits.headers:
            self._refuse(b"HTTP/1.1 431 ", _TOO_LARGE)
            raise ValueError("too many headers")
        if len(self.pipeline) >= self.limits.pipelined:
            self.transport.abort()
            raise ValueError("too many requests at once")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _refuse(self, status: bytes, text: bytes) -> None:
        if self.transport.is_closing():
            return
        length = b"content-length: %d" % len(text)
        head = (status + text, b"content-type: text/plain; charset=utf-8", length, b"connection: close", b"", text)
        self.transport.write(b"\r\n".join(head))
        self.transport.close()

    @property
    def idle(self) -> bool:
        """Whether no request runs."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """The connection that is first in line of the idle ones goes; if all are busy, this one."""
        known: Iterable[Any] = self.connections
        idle = [c for c in known if c is not self and isinstance(c, GuardedHttpProtocol) and c.idle]
        oldest = min(idle, key=lambda c: c._head_since or self.loop.time(), default=self)
        oldest.transport.abort()
        self.connections.discard(oldest)


async def sweep(connections: Iterable[Any], seconds: float, every: float = 1.0) -> None:
    """Close, for ever, the connections whose request's head does not come to an end."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        bound = loop.time() - seconds
        late = [c for c in connections if 0.0 < getattr(c, "_head_since", 0.0) < bound]
        for connection in late:
            connection.transport.abort()
        if late:
            log.info("closed %d connections whose requests did not come", len(late))
