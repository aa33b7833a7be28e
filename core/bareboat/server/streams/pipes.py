"""Byte streams to a client whose connection is no longer HTTP: the connection itself, or a WebSocket that carries bytes."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

CHUNK = 1 << 16


class Pipe(Protocol):
    """``read`` gives b"" at the end; ``write`` waits while the other side is slow. Both raise ConnectionError when it is gone."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class TransportPipe:
    """The connection itself, taken from the HTTP protocol with the bytes that came early."""

    def __init__(self, transport: asyncio.Transport, early: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=4 * CHUNK, loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if early:
            self._reader.feed_data(early)
        transport.resume_reading()

    async def read(self) -> bytes:
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    @property
    def closed(self) -> bool:
        return self._writer.is_closing()

    async def close(self) -> None:
        self._writer.close()


class WebSocketPipe:
    """Bytes in binary WebSocket messages whose borders mean nothing (port-forward's tunnel, KEP-4006)."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._ended = False

    async def read(self) -> bytes:
        while not self._ended:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._ended = True
            elif data := message.get("bytes") or (message.get("text") or "").encode():
                return bytes(data)
        return b""

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise ConnectionResetError("the WebSocket is closed")
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self) -> None:
        if not self._ended:
            self._ended = True
            await self._send({"type": "websocket.close", "code": 1000})
