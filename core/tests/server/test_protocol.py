"""Connections at the edge: what is left of one that has ended."""

import asyncio
import gc
import socket
import weakref

import pytest
import uvicorn

from bareboat.server.protocol import PeerHttpProtocol


@pytest.fixture
async def listening():
    """A port, and weak references to the protocols that answered on it."""
    seen = []

    async def app(scope, receive, send):
        seen.append(weakref.ref(scope["extensions"]["hijack"].__self__))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=PeerHttpProtocol, loop="none", lifespan="off", log_config=None))
    task = asyncio.get_running_loop().create_task(server._serve([bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield bound.getsockname()[1], seen
    server.should_exit = True
    await task


async def test_an_ended_connection_leaves_nothing_for_the_cycle_collector(listening):
    port, seen = listening
    gc.disable()
    try:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while any(protocol() is not None for protocol in seen):
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
    assert len(seen) == 3
