"""Watchers in great number: raw connections that count events as bytes arrive, and know when each came.

Nothing is decoded: an event is the bytes ``"type":"MODIFIED"``; where in the stream of one watcher it stands tells which it is.
"""

from __future__ import annotations

import asyncio
import time

from bench.connection import tls

_EVENT = b'"type":"MODIFIED"'


class _Watcher(asyncio.BufferedProtocol):
    """Counts; notes the time of every arrival. One buffer serves all watchers: what is in it is counted before anybody else writes."""

    def __init__(self, owner: Watchers, request: bytes) -> None:
        self._owner = owner
        self._request = request
        self._tail = b""
        self.events = 0
        self.arrivals: list[float] = []
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._tail + bytes(self._owner.buffer[:nbytes])
        found = data.count(_EVENT)
        self._tail = data[-len(_EVENT) + 1 :]
        if found:
            self.events += found
            self._owner.arrived += found
            if self._owner.timing:
                self.arrivals += [time.perf_counter()] * found

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True


class Watchers:
    """``count`` watchers of one path, on the running loop."""

    def __init__(self, url: str, token: str, path: str, *, timing: bool) -> None:
        host, _, port = url.rpartition("/")[2].partition(":")
        self._host, self._port = host, int(port or 443)
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self.buffer = memoryview(bytearray(1 << 18))
        self.timing = timing
        self.arrived = 0
        self.all: list[_Watcher] = []

    async def open(self, count: int) -> None:
        loop, context = asyncio.get_running_loop(), tls()
        for start in range(0, count, 50):
            new = range(start, min(start + 50, count))
            made = (loop.create_connection(lambda: _Watcher(self, self._request), self._host, self._port, ssl=context) for _ in new)
            self.all += [protocol for _, protocol in await asyncio.gather(*made)]
        await asyncio.sleep(1)

    async def until(self, events: int, seconds: float) -> None:
        """Until every watcher has so many events, or was closed, or the time is over."""
        end = time.monotonic() + seconds
        while any(w.events < events and not w.closed for w in self.all) and time.monotonic() < end:
            await asyncio.sleep(0.005)

    def close(self) -> None:
        for watcher in self.all:
            watcher.transport.abort()
