"""port-forward: connections to a pod's ports, many over one client connection.

A SPDY client opens a pair of streams for each connection, ``error`` and ``data``, joined by their ``requestID``. A WebSocket client
names its ports beforehand and has two channels for each. The agent gets one WebSocket for each connection: channel 0 is data, 1 an
error, 255 the end of one direction.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from bareboat.models.status import ApiError
from bareboat.server.streams.channels import CLOSE, Dialect
from bareboat.server.streams.commands import first_of, frames
from bareboat.server.streams.pipes import Pipe
from bareboat.server.streams.session import Session, Stream
from bareboat.server.streams.spdy import ProtocolError

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("bareboat.server.streams")
PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
DATA, FAULT = 0, 1

#: Dials the agent for one port.
Dial = Callable[[int], Awaitable["aiohttp.ClientWebSocketResponse"]]


async def over_spdy(pipe: Pipe, dial: Dial) -> None:
    """Until the client is gone."""
    session = Session(pipe)
    waiting: dict[str, Stream] = {}
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run(), name="spdy")
            async for stream in session.accepted():
                request = stream.header("requestid") or str(stream.number - stream.number % 4)
                other = waiting.pop(request, None)
                if other is None:
                    waiting[request] = stream
                    continue
                pair = {s.header("streamtype"): s for s in (stream, other)}
                if pair.keys() == {"data", "error"}:
                    group.create_task(_connection(session, pair["data"], pair["error"], dial), name="forward")
                else:
                    await stream.reset()
    except* (ConnectionError, ProtocolError) as gone:
        log.debug("port-forward ended: %s", gone.exceptions[0])
    finally:
        await pipe.close()


async def _connection(session: Session, data: Stream, error: Stream, dial: Dial) -> None:
    try:
        agent = await dial(int(data.header("port")))
    except (ApiError, ValueError) as fault:
        await error.write(f"error forwarding port {data.header('port')}: {fault}".encode())
        await _finish(session, data, error)
        return
    async with agent:
        sender = asyncio.ensure_future(_to_agent(data, agent))
        try:
            await _from_agent(data, error, agent)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
    await _finish(session, data, error)


async def _finish(session: Session, *streams: Stream) -> None:
    for stream in streams:
        await stream.end()
        session.forget(stream)


async def _to_agent(stream: Stream, agent: aiohttp.ClientWebSocketResponse) -> None:
    while data := await stream.read():
        await agent.send_bytes(bytes([DATA]) + data)
    await agent.send_bytes(bytes([CLOSE, DATA]))


async def _from_agent(data: Stream, error: Stream, agent: aiohttp.ClientWebSocketResponse) -> None:
    async for channel, piece in frames(agent):
        if channel == DATA:
            await data.write(piece)
        elif channel == FAULT:
            await error.write(piece)


async def over_websocket(dialect: Dialect, ports: list[int], dial: Dial, receive: Any, send: Any) -> None:
    """Two channels for each port: 2n its data, 2n+1 its errors; both begin with the port, little endian."""
    agents: dict[int, aiohttp.ClientWebSocketResponse] = {}
    try:
        for index, port in enumerate(ports):
            for channel in (2 * index, 2 * index + 1):
                await send(dialect.message(channel, struct.pack("<H", port)))
            try:
                agents[2 * index] = await dial(port)
            except ApiError as fault:
                await send(dialect.message(2 * index + 1, f"error forwarding port {port}: {fault}".encode()))
        await first_of(_channels_up(dialect, agents, receive), _channels_down(dialect, agents, send))
        await send({"type": "websocket.close", "code": 1000})
    except (ConnectionError, ValueError) as gone:
        log.debug("port-forward ended: %s", gone)
    finally:
        for agent in agents.values():
            await agent.close()


async def _channels_up(dialect: Dialect, agents: dict[int, aiohttp.ClientWebSocketResponse], receive: Any) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        found = dialect.read(message)
        if found is not None and found[1] and found[0] in agents:
            await agents[found[0]].send_bytes(bytes([DATA]) + found[1])


async def _channels_down(dialect: Dialect, agents: dict[int, aiohttp.ClientWebSocketResponse], send: Any) -> None:
    async def copy(channel: int, agent: aiohttp.ClientWebSocketResponse) -> None:
        async for kind, data in frames(agent):
            await send(dialect.message(channel + (1 if kind == FAULT else 0), data))

    async with asyncio.TaskGroup() as group:
        for channel, agent in agents.items():
            group.create_task(copy(channel, agent))
