"""The server of a socket's streams: Exec, Attach and PortForward answer with a URL that works once and for a minute.

What comes in: what to open when somebody comes. What goes out: WebSockets of ``v5.channel.k8s.io`` and ``v4.channel.k8s.io``, on the
loopback address. A forwarded port has two channels, 2n for its data and 2n+1 for what went wrong, each opened by its number.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from bareboat.contracts.cri import Size, Streams
from bareboat.contracts.errors import DriverError
from bareboat_cri_grpc.streaming import CLOSE, PROTOCOLS, RESIZE, STATUS, STDERR, STDIN, STDOUT

Opener = Callable[[], Awaitable[Streams]]
#: Seconds in which a URL must be used.
VALID = 60.0


class Served:
    """A driver and its streams."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._waiting: dict[str, Callable[[web.WebSocketResponse], Awaitable[None]]] = {}
        self._runner: web.AppRunner | None = None
        self._base = ""

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{verb}/{token}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._base = f"http://{host}:{port}"

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def url(self, verb: str, opener: Opener, *, tty: bool) -> str:
        return self._promise(verb, lambda socket: _command(socket, opener, tty=tty))

    def forward(self, sandbox_id: str, ports: tuple[int, ...]) -> str:
        return self._promise("portforward", lambda socket: _ports(socket, self.driver, sandbox_id, ports))

    def _promise(self, verb: str, work: Callable[[web.WebSocketResponse], Awaitable[None]]) -> str:
        token = secrets.token_urlsafe(16)
        self._waiting[token] = work
        asyncio.get_running_loop().call_later(VALID, self._waiting.pop, token, None)
        return f"{self._base}/{verb}/{token}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        work = self._waiting.pop(request.match_info["token"], None)
        if work is None:
            raise web.HTTPNotFound(text="this address was used already, or too long ago")
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        try:
            await work(socket)
        finally:
            await socket.close()
        return socket


async def _command(socket: web.WebSocketResponse, opener: Opener, *, tty: bool) -> None:
    try:
        streams = await opener()
    except DriverError as error:
        await _frame(socket, STATUS, msgspec.json.encode({"status": "Failure", "message": error.message, "reason": "InternalError"}))
        return
    loop = asyncio.get_running_loop()
    ways = [loop.create_task(_typed(socket, streams), name="cri-in"), loop.create_task(_shown(socket, streams, tty=tty), name="cri-out")]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await streams.close()


async def _typed(socket: web.WebSocketResponse, streams: Streams) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN and data:
            await streams.write_stdin(data)
        elif channel == RESIZE:
            size = msgspec.json.decode(data)
            await streams.resize(Size(width=int(size.get("Width", 80)), height=int(size.get("Height", 24))))
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            await streams.close_stdin()


async def _shown(socket: web.WebSocketResponse, streams: Streams, *, tty: bool) -> None:
    async for name, data in streams.output():
        await _frame(socket, STDERR if name == "stderr" and not tty else STDOUT, data)
    code = await streams.wait()
    status: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if code:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        message = f"command terminated with non-zero exit code: exit status {code}"
        status |= {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}
    await _frame(socket, STATUS, msgspec.json.encode(status))


async def _frame(socket: web.WebSocketResponse, channel: int, data: bytes) -> None:
    await socket.send_bytes(bytes([channel]) + data)


async def _ports(socket: web.WebSocketResponse, driver: Any, sandbox_id: str, ports: tuple[int, ...]) -> None:
    opened: dict[int, Streams] = {}
    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            await _frame(socket, channel, struct.pack("<H", port))
        try:
            opened[2 * number] = await driver.port_forward(sandbox_id, port)
        except DriverError as error:
            await _frame(socket, 2 * number + 1, error.message.encode())
    loop = asyncio.get_running_loop()
    ways = [loop.create_task(_carried(socket, channel, streams), name="cri-port") for channel, streams in opened.items()]
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data and message.data[0] in opened:
                await opened[message.data[0]].write_stdin(message.data[1:])
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for streams in opened.values():
            await streams.close()


async def _carried(socket: web.WebSocketResponse, channel: int, streams: Streams) -> None:
    async for _, data in streams.output():
        await _frame(socket, channel, data)
    await socket.close()
