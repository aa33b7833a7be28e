"""A list larger than one write: sent in pieces, compressed or not, while others are served."""

from __future__ import annotations

import asyncio
import gzip

import msgspec
import pytest

from bareboat.api.request import ApiResponse
from bareboat.models import core_v1, meta_v1
from bareboat.server.exchange import send_response

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
COUNT = 60


@pytest.fixture
async def server(serve):
    server = await serve()
    for number in range(COUNT):
        meta = meta_v1.ObjectMeta(name=f"c{number:02}", namespace="default")
        await server.kernel.client.create(core_v1.ConfigMap(metadata=meta, data={"x": str(number % 10) * 20_000}))
    return server


async def test_all_of_it_comes_with_its_length(server):
    answer = await server.ask("GET", CONFIGMAPS, "admin")
    assert int(answer.headers["content-length"]) == len(answer.body) > 1_200_000
    found = answer.json
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in found["items"]] == [f"c{number:02}" for number in range(COUNT)]
    assert all("kind" not in item for item in found["items"])


async def test_compressed_it_is_the_same(server):
    plain = await server.ask("GET", CONFIGMAPS, "admin")
    reader, writer = await server.connect()
    head = f"GET {CONFIGMAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    top, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.transport.abort()
    assert b"content-encoding: gzip" in top
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    assert gzip.decompress(body) == plain.body


async def test_pages_of_it_are_parts_of_it(server):
    whole = (await server.ask("GET", CONFIGMAPS, "admin")).json
    first = (await server.ask("GET", f"{CONFIGMAPS}?limit=25", "admin")).json
    assert first["metadata"]["remainingItemCount"] == COUNT - 25
    await server.kernel.client.delete(core_v1.ConfigMap, "c30", "default")
    rest = (await server.ask("GET", f"{CONFIGMAPS}?limit=35&continue={first['metadata']['continue']}", "admin")).json
    assert "continue" not in rest["metadata"]
    assert first["items"] + rest["items"] == whole["items"]


async def test_the_loop_turns_between_its_pieces():
    order: list[object] = []

    class Pieces:
        length = 3

        def __iter__(self):
            for piece in (b"a", b"b", b"c"):
                asyncio.get_running_loop().call_soon(order.append, "turn")
                yield piece

    async def send(message):
        order.append(message.get("body"))

    await send_response(ApiResponse(200, pieces=Pieces()), False, None, send)
    assert order == [None, b"a", "turn", b"b", "turn", b"c", "turn", b""]


async def test_a_part_of_the_server_gets_it_whole(server):
    found = await server.kernel.client.list(core_v1.ConfigMap, "default")
    assert len(found.items) == COUNT
    assert len(msgspec.json.encode(found)) > 1_200_000


async def test_informers_inside_the_server_hold_its_own_bytes(server):
    resource = server.kernel.client.scheme.by_type(core_v1.ConfigMap)
    found, revision = await server.kernel.client.list_raw(resource, "default")
    assert revision == str(server.kernel.log.head)
    assert [name for _, name, _ in found] == [f"c{number:02}" for number in range(COUNT)]
    assert all(data is server.kernel.log.get(f"core/configmaps/{space}/{name}").data for space, name, data in found)
