"""The protocol for clients that ask again and again: a header block that is known is not parsed once more.

Clients repeat their headers byte for byte. What the parser made of a block after one request line, it will make of it after any other
of the same form, so whoever has seen it parsed may skip it. Only whole requests without a body count, alone in what was
received, with nothing before them under way; for the rest there is the parser.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol

from bareboat.server.immediate import Heading
from bareboat.server.limits import GuardedHttpProtocol

_LINE = re.compile(rb"GET (/[!\"$-~]*) HTTP/1\.1")
_END: Final = b"\r\n\r\n"
#: Header blocks that are kept per connection, and the longest that is.
BLOCKS, LONGEST = 4, 4096
#: With any of these a request is not over with its head, or the connection is not as before.
_UNUSUAL = frozenset({b"connection", b"content-length", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})


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
        if self.immediate is None or not (self._between and self.idle and self._early is None and data.endswith(_END)):
            super().data_received(data)
            return
        line, _, block = data.partition(b"\r\n")
        heading = self._blocks.get(block)
        if heading is None:
            begun = self._begun
            super().data_received(data)
            if begun and self._begun == begun + 1 and self._between:
                self._learn(line, block)
        elif not self._answered(line, heading):
            super().data_received(data)

    def _answered(self, line: bytes, heading: Heading) -> bool:
        matched = _LINE.fullmatch(line)
        if matched is None or self.flow.write_paused or self.transport.is_closing():
            return False
        response = self.immediate.answer(heading, matched[1])  # type: ignore[union-attr]
        if response is None:
            return False
        self.transport.write(response)
        self.server_state.total_requests += 1
        self._used = self.loop.time()
        return True

    def _learn(self, line: bytes, block: bytes) -> None:
        """From the second request on: most connections that ask but once watch."""
        if len(block) > LONGEST or block.count(_END) != 1 or _LINE.fullmatch(line) is None:
            return
        if any(name in _UNUSUAL and value.lower() != b"keep-alive" for name, value in self.headers):
            return
        if len(self._blocks) >= BLOCKS:
            self._blocks.clear()
        self._blocks[block] = Heading({**self.scope})

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
