"""Upgrades through the server to servers behind it, over real connections."""

import asyncio
import socket

import aiohttp
import pytest
import uvicorn
from aiohttp import web

from bareboat.api import answers
from bareboat.api.request import ApiRequest
from bareboat.contracts.auth import UserInfo
from bareboat.models.status import ApiError, BadRequest
from bareboat.server.exchange import headers_of, request_of, send_response
from bareboat.server.protocol import PeerHttpProtocol, PeerWebSocketProtocol
from bareboat.server.proxy import forwarded
from bareboat.server.tunnel import Target, is_upgrade, tunnelled

ANNA = UserInfo(name="anna", groups=("system:authenticated",))
TOKEN = "base64url.bearer.authorization.k8s.io.c2VjcmV0"


class Behind:
    """A server behind the server. ``seen`` are the headers of its last request."""

    async def start(self):
        app = web.Application()
        app.router.add_get("/ws", self._echo)
        app.router.add_get("/no", self._refuse)
        app.router.add_route("*", "/spdy", self._spdy)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self):
        await self._runner.cleanup()

    async def _echo(self, request):
        self.seen = dict(request.headers)
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    async def _refuse(self, request):
        return web.Response(status=403, text="not here")

    async def _spdy(self, request):
        transport = request.transport
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nfirst")
        await asyncio.sleep(0.2)
        transport.write(b"last")
        transport.close()
        return web.Response()


@pytest.fixture
async def behind():
    found = Behind()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def front(behind):
    """(address, open tunnels) of a server that hands upgrades under /apis/ over."""
    open_ = set()

    async def app(scope, receive, send):
        headers = headers_of(scope)
        request = request_of(scope, headers, ANNA, b"")
        assert is_upgrade(request), scope
        target = Target(f"http://127.0.0.1:{behind.port}{request.path[5:]}", [("a", "b c")], list(forwarded(request).items()))
        try:
            response = await tunnelled(request, target, open_)
        except ApiError as error:
            response = answers.failure(error)
        if not response.hijacked:
            await send_response(response, False, receive, send)

    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=PeerHttpProtocol, ws=PeerWebSocketProtocol, loop="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.get_running_loop().create_task(server._serve([bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{bound.getsockname()[1]}", open_
    server.should_exit = True
    await task


async def test_a_websocket_is_passed_through_and_a_token_is_not(front, behind):
    address, open_ = front
    async with aiohttp.ClientSession() as session:
        protocols = ("chat", TOKEN)
        async with session.ws_connect(f"http://{address}/apis/ws", protocols=protocols, headers={"Authorization": "Bearer x"}) as there:
            assert there.protocol == "chat"
            for text in ("one", "x" * 300_000):
                await there.send_str(text)
                assert (await there.receive()).data == text.upper()
            assert len(open_) == 1
    assert TOKEN not in behind.seen["Sec-WebSocket-Protocol"]
    assert "Authorization" not in behind.seen
    async with asyncio.timeout(5):
        while open_:
            await asyncio.sleep(0.01)


async def test_any_other_protocol_is_passed_through(front):
    address, _ = front
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"POST /apis/spdy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\r\n\r\nfirstlast")
    writer.close()


async def test_a_refusal_comes_back_as_it_is(front):
    address, _ = front
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{address}/apis/no")
    assert caught.value.status == 403


async def test_a_server_that_is_gone_is_said_to_be_so(front, behind):
    await behind.stop()
    address, _ = front
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{address}/apis/ws")
    assert caught.value.status == 503


async def test_a_header_cannot_be_two():
    headers = {"connection": "Upgrade", "upgrade": "x"}
    request = ApiRequest(ANNA, "GET", "/apis/ws", {}, b"", "", "", headers=headers, connection=lambda: None)
    with pytest.raises(BadRequest, match="line break"):
        await tunnelled(request, Target("http://127.0.0.1:1/", [], [("x-remote-user", "a\r\nx-remote-group: system:masters")]), set())
