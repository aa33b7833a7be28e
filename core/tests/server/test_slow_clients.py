"""Who takes long: clients that trickle, do not read or ask for less time, and a server that stops while some still listen."""

import asyncio
import time

import pytest
from core.tests.server.conftest import CONFIGMAPS, POST, fine

from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.server.limits import Limits


class TestSlow:
    async def test_a_connection_without_a_request_is_closed(self, serve):
        server = await serve(limits=Limits(head_seconds=0.3))
        assert await server.raw(b"", seconds=5) == b""

    async def test_a_head_that_trickles_is_closed(self, serve):
        server = await serve(limits=Limits(head_seconds=1.0))
        reader, writer = await server.connect()
        writer.write(b"GET /api HTTP/1.1\r\nHost: a\r\n")
        began = time.perf_counter()
        with pytest.raises(ConnectionError):
            while time.perf_counter() - began < 8:
                writer.write(b"X-A: b\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
                assert not reader.at_eof() or (_ for _ in ()).throw(ConnectionResetError)
        assert time.perf_counter() - began < 4
        await fine(server)

    async def test_a_body_that_trickles_is_answered_504(self, serve):
        server = await serve(timeout=1.0)
        reader, writer = await server.connect()
        writer.write(f"{POST}Content-Length: 1000\r\n\r\n{{".encode())
        began = time.perf_counter()
        async with asyncio.timeout(8):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 504")
        assert time.perf_counter() - began < 4
        writer.transport.abort()
        assert server.fairness.levels["catch-all"].executing == 0

    async def test_many_slow_ones_do_not_keep_others_out(self, serve):
        server = await serve(limits=Limits(connections=50))
        slow = [await server.connect() for _ in range(49)]
        for _, writer in slow:
            writer.write(b"GET /api HTTP/1.1\r\nHost: a\r\n")
        await asyncio.sleep(0.2)
        for _ in range(10):
            await fine(server)
        assert len(server.listener._server.server_state.connections) <= 51
        for _, writer in slow:
            writer.transport.abort()

    async def test_a_client_that_does_not_read_its_answer_is_dropped(self, serve):
        server = await serve(timeout=1.0)
        for i in range(40):
            tree = {"metadata": {"name": f"big{i}", "namespace": "default"}, "data": {"x": "y" * 500_000}}
            await server.kernel.client.create(from_tree(core_v1.ConfigMap, tree))
        reader, writer = await server.connect()
        reader._transport.pause_reading()
        writer.write(f"GET {CONFIGMAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\n\r\n".encode())
        await asyncio.sleep(0.3)
        assert server.fairness.levels["catch-all"].executing == 1
        async with asyncio.timeout(5):
            while server.fairness.levels["catch-all"].executing:
                await asyncio.sleep(0.05)
        await fine(server)
        writer.transport.abort()


class TestTimeout:
    async def test_the_client_may_ask_for_less(self, serve):
        async def never(op):
            await asyncio.sleep(60)

        server = await serve()
        server.kernel.service.virtual["core/configmaps", ""] = never
        began = time.perf_counter()
        answer = await server.ask("GET", f"{CONFIGMAPS}/a?timeout=200ms")
        assert server.kernel.service.requests.inflight == {"readOnly": 0, "mutating": 0}
        assert time.perf_counter() - began < 2
        assert answer.status == 504
        assert answer.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Timeout: request did not complete within the allotted timeout",
            "reason": "Timeout",
            "details": {},
            "code": 504,
        }

    @pytest.mark.parametrize("text", ["soon", "5", "-1s", "1s2"])
    async def test_a_timeout_that_is_none_is_refused(self, server, text):
        answer = await server.ask("GET", f"{CONFIGMAPS}?timeout={text}")
        assert (answer.status, answer.json["message"]) == (400, "invalid timeout specified in the request URL")


async def test_a_server_that_stops_ends_its_watches_whole(serve):
    server = await serve()
    reader, writer = await server.connect()
    writer.write(f"GET {CONFIGMAPS}?watch=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    began = time.perf_counter()
    server.listener.close()
    await server.streams.close()
    async with asyncio.timeout(3):
        assert (await reader.read()).endswith(b"0\r\n\r\n")
    await server.listener.stop()
    assert time.perf_counter() - began < 3
    writer.transport.abort()
