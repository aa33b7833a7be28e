"""exec and attach: a client's SPDY streams or WebSocket channels on one side, an agent's WebSocket on the other.

The agent always speaks ``v5.channel.k8s.io``: every frame begins with its channel, 255 ends one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from bareboat.server.streams.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Dialect, error_words
from bareboat.server.streams.pipes import Pipe
from bareboat.server.streams.session import Session, Stream
from bareboat.server.streams.spdy import ProtocolError

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("bareboat.server.streams")
#: SPDY protocols, newest first, and whether the error stream carries a Status.
SPDY_PROTOCOLS = {"v4.channel.k8s.io": True, "v3.channel.k8s.io": False, "v2.channel.k8s.io": False, "channel.k8s.io": False}
#: Seconds in which a client opens the streams that it asked for.
OPENING = 30.0
#: Seconds before the first frame to a WebSocket: kubectl up to 1.32 throws away what comes before it has made its streams.
FIRST_FRAME = 0.02
_CHANNELS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}


def wanted(query: Mapping[str, list[str]], protocol: str) -> set[str]:
    """The streams of a command as its parameters name them."""

    def on(name: str) -> bool:
        return (query.get(name) or [""])[0].lower() in ("1", "true", "t")

    names = {name for name in ("stdin", "stdout", "stderr") if on(name)}
    if on("tty"):
        names.discard("stderr")
        if protocol in ("v4.channel.k8s.io", "v3.channel.k8s.io"):
            names.add("resize")
    return names | {"error"}


async def over_spdy(pipe: Pipe, agent: aiohttp.ClientWebSocketResponse, names: set[str], *, status: bool) -> None:
    """Until the command has ended or the client is gone."""
    session = Session(pipe)
    reading = asyncio.get_running_loop().create_task(session.run(), name="spdy")
    try:
        streams = await asyncio.wait_for(_opened(session, names), OPENING)
        if len(streams) == len(names):
            await first_of(_up_streams(streams, agent), _down_streams(streams, agent, status=status), _until(reading))
            await _ended(streams)
    except (ConnectionError, TimeoutError, ProtocolError) as error:
        log.debug("stream ended: %s", error)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await agent.close()
        await pipe.close()


async def over_websocket(dialect: Dialect, agent: aiohttp.ClientWebSocketResponse, receive: Any, send: Any) -> None:
    """The same for a WebSocket that has been accepted."""

    async def up() -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            found = dialect.read(message)
            if found is None:
                continue
            channel, data = found
            if channel == CLOSE and not dialect.closes:
                continue
            if not data and not dialect.closes:
                continue
            await agent.send_bytes(bytes([channel]) + data)

    async def down() -> None:
        await asyncio.sleep(FIRST_FRAME)
        async for channel, data in frames(agent):
            if channel == ERROR and not dialect.status:
                data = error_words(data)
                if not data:
                    continue
            await send(dialect.message(channel, data))
        await send({"type": "websocket.close", "code": 1000})

    try:
        await first_of(up(), down())
    except (ConnectionError, ValueError) as error:
        log.debug("stream ended: %s", error)
    finally:
        await agent.close()


async def frames(agent: aiohttp.ClientWebSocketResponse) -> Any:
    """Channel and data of what an agent sends."""
    import aiohttp

    async for message in agent:
        if message.type is aiohttp.WSMsgType.BINARY and message.data:
            yield message.data[0], message.data[1:]


async def first_of(*ways: Awaitable[None]) -> None:
    """Run together; the first that ends ends them all, and its error is raised."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


async def _opened(session: Session, names: set[str]) -> dict[str, Stream]:
    """The streams by their type, once all are there or the client is gone."""
    found: dict[str, Stream] = {}
    async for stream in session.accepted():
        kind = stream.header("streamtype")
        if kind in names and kind not in found:
            found[kind] = stream
        else:
            await stream.reset()
        if len(found) == len(names):
            break
    return found


async def _up_streams(streams: dict[str, Stream], agent: aiohttp.ClientWebSocketResponse) -> None:
    async def copy(name: str) -> None:
        stream = streams[name]
        while data := await stream.read():
            await agent.send_bytes(bytes([_CHANNELS[name]]) + data)
        if name == "stdin":
            await agent.send_bytes(bytes([CLOSE, STDIN]))

    async with asyncio.TaskGroup() as group:
        for name in ("stdin", "resize"):
            if name in streams:
                group.create_task(copy(name))
        await asyncio.Event().wait()  # a client may end its stdin long before the command ends


async def _down_streams(streams: dict[str, Stream], agent: aiohttp.ClientWebSocketResponse, *, status: bool) -> None:
    names = {number: name for name, number in _CHANNELS.items()}
    async for channel, data in frames(agent):
        stream = streams.get(names.get(channel, ""))
        if stream is None:
            continue
        if channel == ERROR and not status:
            data = error_words(data)
        if data:
            await stream.write(data)


async def _ended(streams: dict[str, Stream]) -> None:
    for stream in streams.values():
        await stream.end()
