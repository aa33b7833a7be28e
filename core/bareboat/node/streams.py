"""What goes over the WebSocket of a command or a forwarded port, from the API server's side to a driver's streams and back.

``v5.channel.k8s.io`` and ``v4.channel.k8s.io``: the first byte of every frame is its channel (0 stdin, 1 stdout, 2 stderr, 3 status,
4 resize, 255 the end of the channel that follows). A forwarded port has channel 0 for its data both ways and 1 for an error.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
CLOSE_SIGNAL = 255
DATA, FAULT = 0, 1


class Channels:
    """Frames of one stream connection."""

    def __init__(self, streams: cri.Streams, receive: Any, send: Any, *, tty: bool) -> None:
        self._streams = streams
        self._receive = receive
        self._send = send
        self._tty = tty

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._read(), name="channels-in")
        writing = loop.create_task(self._write(), name="channels-out")
        try:
            await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
                await self._send({"type": "websocket.close", "code": 1000})
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            await self._streams.close()

    async def _write(self) -> None:
        """Output as it comes, then the status."""
        async for name, data in self._streams.output():
            channel = STDERR if name == "stderr" and not self._tty else STDOUT
            await self._frame(channel, data)
        await self._frame(STATUS, msgspec.json.encode(status_of(await self._streams.wait())))

    async def _frame(self, channel: int, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes") or b""
            if not data:
                continue
            channel, body = data[0], data[1:]
            if channel == STDIN and body:
                await self._streams.write_stdin(body)
            elif channel == RESIZE:
                size = msgspec.json.decode(body)
                await self._streams.resize(cri.Size(width=int(size.get("Width", 80)), height=int(size.get("Height", 24))))
            elif channel == CLOSE_SIGNAL and body[:1] == b"\x00":
                await self._streams.close_stdin()


def status_of(code: int) -> dict[str, Any]:
    """What exec's status channel says of an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def forward(streams: cri.Streams, receive: Any, send: Any) -> None:
    """One connection to a port, until either side ends it."""

    async def up() -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            data = message.get("bytes") or b""
            if data[:1] == bytes([DATA]) and data[1:]:
                await streams.write_stdin(data[1:])
            elif data == bytes([CLOSE_SIGNAL, DATA]):
                await streams.close_stdin()

    async def down() -> None:
        try:
            async for _, data in streams.output():
                await send({"type": "websocket.send", "bytes": bytes([DATA]) + data})
        except DriverError as error:
            await send({"type": "websocket.send", "bytes": bytes([FAULT]) + error.message.encode()})

    loop = asyncio.get_running_loop()
    ways = [loop.create_task(up(), name="forward-in"), loop.create_task(down(), name="forward-out")]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if ways[1].done():
            await send({"type": "websocket.close", "code": 1000})
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await streams.close()
