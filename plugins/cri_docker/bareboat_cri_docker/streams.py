"""Streams of a running command: over a connection that the daemon has upgraded, or over one into a pod.

What comes in: a connection, and how to ask for the end and to make it come. What goes out: the contract's Streams. Whoever waits, for
output or for the end, reads; what was read for the other is kept. Nothing is read ahead, so a slow client slows the command down.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Literal

from bareboat.contracts.cri import Size
from bareboat_cri_docker.backend import Connection

_KEPT = 256  # chunks that are kept for a reader of output while somebody only waits for the end
_KILLED = 137

Output = tuple[Literal["stdout", "stderr"], bytes]


class DockerStreams:
    """``code`` asks for the exit code once the output has ended, ``resized`` passes a size on, ``let_go`` ends what must not go on."""

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool,
        code: Callable[[], Awaitable[int]],
        resized: Callable[[Size], Awaitable[None]],
        let_go: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection, self._tty = connection, tty
        self._ask, self._resized, self._let_go = code, resized, let_go
        self._chunks: deque[Output] = deque(maxlen=_KEPT)
        self._reading = asyncio.Lock()
        self._ended = False
        self._code: int | None = None
        self._closed = asyncio.Event()

    async def write_stdin(self, data: bytes) -> None:
        with suppress(ConnectionError):  # the command has ended; its exit code says so
            await self._connection.write(data)

    async def close_stdin(self) -> None:
        with suppress(OSError):
            self._connection.write_eof()

    async def resize(self, size: Size) -> None:
        await self._resized(size)

    async def output(self) -> AsyncIterator[Output]:
        while True:
            while self._chunks:
                yield self._chunks.popleft()
            if self._ended:
                return
            await self._read(for_output=True)

    async def wait(self) -> int:
        while not self._ended:
            await self._read(for_output=False)
        if self._code is None:
            self._code = await self._ask()
        return self._code

    async def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        if self._code is None and not self._ended:
            self._code = _KILLED
            await self._let_go()
        self._ended = True
        self._connection.close()

    async def _read(self, *, for_output: bool) -> None:
        """Read once, unless somebody else did so while we waited for our turn."""
        before = len(self._chunks)
        async with self._reading:
            if self._ended or (for_output and len(self._chunks) > before):
                return
            chunk = await self._receive()
        if chunk[1]:
            self._chunks.append(chunk)
        else:
            self._ended = True

    async def _receive(self) -> Output:
        """A chunk, or nothing at the end; closing from elsewhere ends it too."""
        received = asyncio.ensure_future(self._chunk())
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((received, closed), return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else ("stdout", b"")
        finally:
            received.cancel()
            closed.cancel()

    async def _chunk(self) -> Output:
        if self._tty:
            return "stdout", await self._connection.read()
        channel, data = await self._connection.read_frame()
        while channel and not data:  # an empty frame is not the end
            channel, data = await self._connection.read_frame()
        return ("stderr" if channel == 2 else "stdout"), data
