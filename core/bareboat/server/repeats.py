"""The protocol for clients that ask again and again: a header block that is known is not parsed once more.

Clients repeat their headers byte for byte, but for the length of what they send. What the parser made of a block after one request
line, it will make of it after any other of the same form, so whoever has seen it parsed may skip it. Only whole requests count,
alone in what was received, with nothing before them under way; for the rest there is the parser.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from bareboat.server.exchange import NAMED, Scope, headers_of
from bareboat.server.heading import LINE, Heading
from bareboat.server.limits import GuardedHttpProtocol

if TYPE_CHECKING:
    from bareboat.server.immediate import Immediate
    from bareboat.server.repeated import Exchange

_LENGTH = re.compile(rb"(?i)(^|\r\n)content-length: (0|[1-9][0-9]{0,7})\r\n")
_END: Final = b"\r\n\r\n"
#: Header blocks that are kept per connection (bodies differ in length), and the longest that is.
BLOCKS, LONGEST = 8, 4096
#: With any of these a request is not over with its head and body, or the connection is not as before.
_UNUSUAL = frozenset({"expect", "te", "trailer", "transfer-encoding", "upgrade"})


class RepeatingHttpProtocol(GuardedHttpProtocol):
    """``immediate`` is set per listener."""

    immediate: Immediate | None = None
    #: between two requests: the parser has seen the last one whole
    _between = True
    _begun = 0
    #: when a request was last answered here
    _used = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._blocks: dict[bytes, Heading] = {}
        #: by their blocks without the length of the body
        self._shapes: dict[bytes, Heading] = {}
        self._missed = b""

    def on_message_begin(self) -> None:
        self._between = False
        self._begun += 1
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        end = data.find(_END) if self._between and self.idle and self._early is None else -1
        if end < 0:
            super().data_received(data)
            return
        line, _, block = data[: end + 4].partition(b"\r\n")
        heading = self._blocks.get(block)
        if heading is None:
            if self._alike(line, block, data[end + 4 :]):
                return
            begun = self._begun
            super().data_received(data)
            if begun and self._begun == begun + 1 and self._between:
                self._learn(line, block, len(data) - end - 4)
        elif len(data) - end - 4 != heading.length or not self._known(line, heading, data[end + 4 :]):
            super().data_received(data)

    def _known(self, text: bytes, heading: Heading, body: bytes) -> bool:
        """Answer a request or begin it; False: it is the parser's."""
        if self.transport.is_closing():
            return False
        if self.immediate is not None:
            if text.startswith(b"GET ") and not self.flow.write_paused and self._at_once(text, heading):
                return True
            exchange = self.immediate.repeated.exchange(self, heading, text, len(body))
            if exchange is not None:
                self._begin(exchange, body)
                return True
        return self._as_usual(text, heading, body)

    def _alike(self, text: bytes, block: bytes, body: bytes) -> bool:
        """Begin a request whose header block is known but for the length of its body. One that comes again is worth to be learned."""
        if len(block) > LONGEST or block == self._missed or self.immediate is None or self.transport.is_closing():
            return False
        self._missed = block
        found = _LENGTH.search(block)
        if found is None:
            return False
        heading = self._shapes.get(_shape(block, found))
        if heading is None or int(found[2]) != len(body):
            return False
        exchange = self.immediate.repeated.exchange(self, heading, text, len(body))
        if exchange is None:
            return False
        exchange.named = {**heading.named, "content-length": str(len(body))}
        self._begin(exchange, body)
        return True

    def _begin(self, exchange: Exchange, body: bytes) -> None:
        assert self.immediate is not None
        self.cycle = exchange
        exchange.task = self.loop.create_task(self.immediate.repeated.run(exchange, body))
        self.tasks.add(exchange.task)

    def _at_once(self, text: bytes, heading: Heading) -> bool:
        matched = LINE.fullmatch(text)
        assert self.immediate is not None
        response = self.immediate.answer(heading, matched[2]) if matched is not None else None
        if response is None:
            return False
        self.transport.write(response)
        self.server_state.total_requests += 1
        self._used = self.loop.time()
        return True

    def _as_usual(self, text: bytes, heading: Heading, body: bytes) -> bool:
        """By way of ASGI."""
        matched = LINE.fullmatch(text)
        if matched is None:
            return False
        self._unset_keepalive_if_required()
        path, _, query = matched[2].partition(b"?")
        self.scope = self.scope_of(heading, matched[1].decode("ascii"), path, query)
        cycle = self.cycle_of(self.scope, keep_alive=True)
        cycle.body, cycle.more_body = bytearray(body), False
        cycle.message_event.set()
        self.cycle = cycle
        self._start_asgi_task(cycle, self.app)
        return True

    def scope_of(self, heading: Heading, method: str, path: bytes, query: bytes) -> Any:
        """As the parser would have it."""
        text = path.decode("ascii")
        return {
            **heading.scope,
            "method": method,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "state": self.app_state.copy(),
        }

    def answered(self) -> None:
        """One that was not begun by way of ASGI."""
        if self.pipeline or self.flow.read_paused or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._used = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _learn(self, line: bytes, block: bytes, length: int) -> None:
        """From the second request on: most connections that ask but once watch."""
        if len(block) > LONGEST or LINE.fullmatch(line) is None:
            return
        scope: Scope = {**self.scope}
        named = headers_of(scope)
        if not _UNUSUAL.isdisjoint(named) or named.get("connection", "keep-alive").lower() != "keep-alive":
            return
        if int(named.get("content-length", 0)) != length:
            return
        if len(self._blocks) >= BLOCKS:
            self._blocks.clear()
        heading = self._blocks[block] = Heading({**scope, NAMED: named}, length)
        found = _LENGTH.search(block)
        if found is not None:
            if len(self._shapes) >= BLOCKS:
                self._shapes.clear()
            self._shapes[_shape(block, found)] = heading

    def timeout_keep_alive_handler(self) -> None:
        """The time runs from the last answer, whoever gave it, and while no request runs or comes."""
        busy = self._head_since or not self.idle
        left = self.timeout_keep_alive if busy else self._used + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._blocks, self._shapes = {}, {}


def _shape(block: bytes, length: re.Match[bytes]) -> bytes:
    return block[: length.start(2)] + block[length.end(2) :]
