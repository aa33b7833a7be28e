"""Streams of a running command: over a monitor's frames, or over a connection into a pod.

What comes in: a connected socket. What goes out: the contract's Streams. Whoever waits, for output or for the end, reads; frames meant
for the other are kept. A reader that nobody reads stops the command (exec) or is let go (attach); that is the monitor's part.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

from bareboat.contracts.cri import Size

_CHUNK = 16384
_KEPT = 1024  # frames, 16 MiB, that are kept for a reader of output while somebody only waits for the end
_KILLED = 137

Output = tuple[Literal["stdout", "stderr"], bytes]


class MonitorStreams:
    """Frames of a SEQPACKET socket: see monitor/relay.h."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._frames: deque[Output] = deque(maxlen=_KEPT)
        self._reading = asyncio.Lock()
        self._code: int | None = None
        self._closed = asyncio.Event()

    async def write_stdin(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            await self._send(b"i" + data[start : start + _CHUNK])

    async def close_stdin(self) -> None:
        await self._send(b"c")

    async def resize(self, size: Size) -> None:
        await self._send(b"r" + struct.pack("<HH", size.height, size.width))

    async def reopen_log(self) -> None:
        await self._send(b"l")

    async def output(self) -> AsyncIterator[Output]:
        while True:
            while self._frames:
                yield self._frames.popleft()
            if self._code is not None:
                return
            await self._read()

    async def wait(self) -> int:
        while self._code is None:
            await self._read(block=False)
        return self._code

    async def close(self) -> None:
        self._closed.set()
        if self._code is None:
            self._code = _KILLED
        self._socket.close()

    async def _send(self, frame: bytes) -> None:
        if self._code is None:
            with suppress(ConnectionError):  # the command has ended; its exit frame says so
                await asyncio.get_running_loop().sock_sendall(self._socket, frame)

    async def _read(self, *, block: bool = True) -> None:
        """Read one frame, unless somebody else did so while we waited for our turn."""
        before = len(self._frames)
        async with self._reading:
            if self._code is not None or (block and len(self._frames) > before):
                return
            frame = await self._receive()
        if not frame:
            self._code = _KILLED if self._code is None else self._code
        elif frame[:1] == b"x":
            self._code = int(struct.unpack("<i", frame[1:5])[0])
        else:
            self._frames.append(("stdout" if frame[:1] == b"o" else "stderr", frame[1:]))

    async def _receive(self) -> bytes:
        """A frame, or nothing at the end; closing from elsewhere ends it too."""
        loop = asyncio.get_running_loop()
        received = asyncio.ensure_future(loop.sock_recv(self._socket, _CHUNK + 1))
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((received, closed), return_when=asyncio.FIRST_COMPLETED)
            if received.done() and not received.cancelled() and received.exception() is None:
                return received.result()
            return b""
        finally:
            received.cancel()
            closed.cancel()
