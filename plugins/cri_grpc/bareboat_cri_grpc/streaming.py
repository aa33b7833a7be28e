"""A command's streams over the WebSocket that a runtime names: one channel byte before every piece of data.

What comes in: the URL that Exec or Attach answered with. What goes out: the contract's ``Streams``. Version 5 of the protocol ends a
channel; version 4, which containerd before 2 speaks, cannot: there the end of the input is told to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import aiohttp
import msgspec

from bareboat.contracts.cri import Size
from bareboat.contracts.errors import Unavailable

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
KILLED = 137


class CommandStreams:
    """``wait`` without a status is as if it had been killed; an attached container has none at all (``attached``)."""

    def __init__(self, session: aiohttp.ClientSession, connected: Any, *, attached: bool = False) -> None:
        self._session, self._socket = session, connected
        self._code = 0 if attached else KILLED
        self._ended = asyncio.Event()

    @classmethod
    async def open(cls, url: str, *, attached: bool = False) -> CommandStreams:
        session = aiohttp.ClientSession()
        try:
            connected = await session.ws_connect(url, protocols=PROTOCOLS, max_msg_size=0, autoping=True)
        except (aiohttp.ClientError, TimeoutError) as error:
            await session.close()
            raise Unavailable(f"the runtime's streams at {url}: {error}", reason="StreamFailed") from error
        return cls(session, connected, attached=attached)

    async def write_stdin(self, data: bytes) -> None:
        await self._send(bytes([STDIN]) + data)

    async def close_stdin(self) -> None:
        if self._socket.protocol == PROTOCOLS[0]:
            await self._send(bytes([CLOSE, STDIN]))

    async def resize(self, size: Size) -> None:
        await self._send(bytes([RESIZE]) + msgspec.json.encode({"Width": size.width, "Height": size.height}))

    async def _send(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (ConnectionError, aiohttp.ClientError):
            self._ended.set()  # the command has ended: nobody reads it

    async def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == STATUS:
                self._code = exit_code(data)
            elif channel in (STDOUT, STDERR) and data:
                yield "stderr" if channel == STDERR else "stdout", data
        self._ended.set()

    async def wait(self) -> int:
        """Reads on if nobody does: the status comes last."""
        if not self._ended.is_set() and not self._socket.closed:
            async for _ in self.output():
                continue
        return self._code

    async def close(self) -> None:
        self._ended.set()
        await self._socket.close()
        await self._session.close()


def exit_code(status: bytes) -> int:
    """Of the Status that comes last; a failure without a code is as if it had been killed."""
    try:
        found = msgspec.json.decode(status)
    except msgspec.DecodeError:
        return KILLED
    if found.get("status") == "Success":
        return 0
    causes = (found.get("details") or {}).get("causes") or []
    return next((int(c["message"]) for c in causes if c.get("reason") == "ExitCode"), KILLED)
