"""The protocol for clients that ask again and again: a header block that is known is not parsed once more.

Clients repeat their headers byte for byte. What the parser made of a block after one request line, it will make of it after any other
of the same form, so whoever has seen it parsed may skip it. Only whole requests count, alone in what was received, with nothing
before them under way; for the rest there is the parser.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol
from urllib.parse import unquote

from bareboat.server.exchange import NAMED, Scope, headers_of
from bareboat.server.immediate import Heading
from bareboat.server.limits import GuardedHttpProtocol

_LINE = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!\"$-~]*) HTTP/1\.1")
_END: Final = b"\r\n\r\n"
#: Header blocks that are kept per connection (bodies differ in length), and the longest that is.
BLOCKS, LONGEST = 8, 4096
#: With any of these a request is not over with its head and body, or the connection is not as before.
_UNUSUAL = frozenset({"expect", "te", "trailer", "transfer-encoding", "upgrade"})


class AtOnce(Protocol):
    """Answers a request on the spot, if it can."""

    def answer(self, heading: Heading, target: bytes) -> bytes | None: ...


class RepeatingHttpProtocol(GuardedHttpProtocol):
    """``immediate`` is set per listener."""

    immediate: AtOnce | None = None
    #: between two requests: the parser has seen the last one whole
    _between = True
    _begun = 0
    #: when a request was last answered here
    _used = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._blocks: dict[bytes, Heading] = {}

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
            begun = self._begun
            super().data_received(data)
            if begun and self._begun == begun + 1 and self._between:
                self._learn(line, block, len(data) - end - 4)
        elif len(data) - end - 4 != heading.length or not self._known(line, heading, data[end + 4 :]):
            super().data_received(data)

    def _known(self, line: bytes, heading: Heading, body: bytes) -> bool:
        """Answer a request or begin it; False: it is the parser's."""
        matched = _LINE.fullmatch(line)
        if matched is None or self.transport.is_closing():
            return False
        method, target = matched.groups()
        if method == b"GET" and self.immediate is not None and not self.flow.write_paused:
            response = self.immediate.answer(heading, target)
            if response is not None:
                self.transport.write(response)
                self.server_state.total_requests += 1
                self._used = self.loop.time()
                return True
        path, _, query = target.partition(b"?")
        text = path.decode("ascii")
        self._unset_keepalive_if_required()
        self.scope = {
            **heading.scope,  # type: ignore[typeddict-item]
            "method": method.decode("ascii"),
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "state": self.app_state.copy(),
        }
        cycle = self.cycle_of(self.scope, keep_alive=True)
        cycle.body, cycle.more_body = bytearray(body), False
        cycle.message_event.set()
        self.cycle = cycle
        self._start_asgi_task(cycle, self.app)
        return True

    def _learn(self, line: bytes, block: bytes, length: int) -> None:
        """From the second request on: most connections that ask but once watch."""
        if len(block) > LONGEST or _LINE.fullmatch(line) is None:
            return
        scope: Scope = {**self.scope}
        named = headers_of(scope)
        if not _UNUSUAL.isdisjoint(named) or named.get("connection", "keep-alive").lower() != "keep-alive":
            return
        if int(named.get("content-length", 0)) != length:
            return
        if len(self._blocks) >= BLOCKS:
            self._blocks.clear()
        self._blocks[block] = Heading({**scope, NAMED: named}, length)

    def timeout_keep_alive_handler(self) -> None:
        """The time runs from the last answer, whoever gave it."""
        left = self._used + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._blocks = {}
