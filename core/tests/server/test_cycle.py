"""Responses in one write: the same bytes as ASGI would send, and never a header that becomes two."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn

from bareboat.server.cycle import at_once, cycle_of
from bareboat.server.protocol import PeerHttpProtocol


@pytest.fixture
async def serving():
    """Serves what the test puts into ``answers``: headers and body; whether it went at once is in ``sent``."""
    answers, sent = [], []

    async def app(scope, receive, send):
        headers, body = answers.pop(0)
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        sent.append(at_once(send, 200, headers, body))
        if not sent[-1]:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http=PeerHttpProtocol, loop="none", lifespan="off", log_config=None, date_header=False, server_header=False)
    )
    task = asyncio.get_running_loop().create_task(server._serve([bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", bound.getsockname()[1])
    yield answers, sent, reader, writer
    writer.close()
    server.should_exit = True
    await task


async def test_requests_one_after_the_other_and_pipelined_are_answered_in_order(serving):
    answers, sent, reader, writer = serving
    answers += [([(b"a", b"b")], body) for body in (b"one", b"two", b"three")]
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readuntil(b"one") == b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 3\r\n\r\none"
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert (await reader.readuntil(b"three")).index(b"two") > 0
    assert sent == [True] * 3


async def test_a_head_request_gets_the_length_and_no_body(serving):
    answers, _, reader, writer = serving
    answers += [([], b"body"), ([], b"next")]
    writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    assert b"content-length: 4" in head
    assert rest.startswith(b"HTTP/1.1 200 OK")
    assert rest.endswith(b"connection: close\r\n\r\nnext")


@pytest.mark.parametrize("value", [b"x\r\nset-cookie: a", b"x\ny", b"x\x00y", b"x\ry"])
async def test_a_header_that_would_become_two_is_not_sent(serving, value):
    answers, sent, reader, writer = serving
    answers += [([(b"a", value)], b"body")]
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert sent == [False]


def test_what_is_no_cycle_is_left_to_asgi():
    async def send(message):
        raise AssertionError

    assert not at_once(send, 200, [], b"")
    assert cycle_of(send) is None
