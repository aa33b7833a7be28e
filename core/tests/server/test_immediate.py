"""Reads that are answered at once: the same bytes as the usual way gives, and never after what they rely on has changed."""

import asyncio
import time

import msgspec
import pytest

POD = "/api/v1/namespaces/default/configmaps"


def configmap(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
async def server(serve):
    found = await serve(known=True)
    for name in ("a", "b", "status"):
        await found.ask("POST", POD, token="admin", tree=configmap(name, key=name))
    connect = found.connect

    async def kept():
        opened.append(await connect())
        return opened[-1]

    opened, found.connect = [], kept
    yield found
    for _, writer in opened:
        writer.transport.abort()


async def repeated(server, path=f"{POD}/a", times=4, headers=()):
    """The answers to so many requests on one connection, and how often somebody was asked who may what for the last one."""
    connection = await server.connect()
    answers = []
    for _ in range(times):
        before = server.rules.asked
        answers.append(await server.ask("GET", path, connection=connection, headers=headers))
    server.connection = connection
    return answers, server.rules.asked - before


async def test_what_is_asked_again_is_answered_at_once_and_in_the_same_way(server):
    answers, asked = await repeated(server, times=8)
    assert asked == 0
    first, last = answers[0], answers[-1]
    assert last.body == first.body
    assert first.headers.pop("audit-id") != last.headers.pop("audit-id")
    assert last.headers == first.headers


async def test_it_is_counted_like_any_other_request(server):
    await repeated(server, times=8)
    counts = server.kernel.service.requests.counts
    assert counts[("GET", "", "v1", "configmaps", "", "resource"), 200] == 8


async def test_other_objects_of_the_namespace_are_answered_at_once_too_as_they_are_now(server):
    await repeated(server, times=8)
    before = server.rules.asked
    found = await server.ask("GET", f"{POD}/b", connection=server.connection)
    assert (found.json["data"], server.rules.asked) == ({"key": "b"}, before)
    await server.ask("PUT", f"{POD}/b", token="admin", tree=configmap("b", key="new"))
    found = await server.ask("GET", f"{POD}/b", connection=server.connection)
    assert found.json["data"] == {"key": "new"}


async def test_an_object_that_is_gone_is_not_found(server):
    await repeated(server, times=8)
    await server.ask("DELETE", f"{POD}/a", token="admin")
    assert (await server.ask("GET", f"{POD}/a", connection=server.connection)).status == 404


async def test_a_credential_that_is_withdrawn_is_refused_on_the_next_request(server):
    await repeated(server, times=8)
    server.who.revoked = True
    assert (await server.ask("GET", f"{POD}/a", connection=server.connection)).status == 401


async def test_a_credential_is_not_good_for_longer_than_it_says(server):
    server.who.until = time.time() - 1
    _, asked = await repeated(server, times=8)
    assert asked == 1


async def test_a_right_that_is_withdrawn_is_refused_on_the_next_request(server):
    await repeated(server, times=8)
    server.rules.allowed, server.rules.changes = "nothing", 1
    assert (await server.ask("GET", f"{POD}/a", connection=server.connection)).status == 403


async def test_a_right_to_one_name_is_no_right_to_all(server):
    server.rules.allowed = "a"
    answers, asked = await repeated(server, times=8)
    assert {a.status for a in answers} == {200}
    assert asked == 1
    assert (await server.ask("GET", f"{POD}/b", connection=server.connection)).status == 403


async def test_where_there_can_be_no_plan_nobody_tries_again(server):
    server.rules.allowed = "a"
    await repeated(server, times=4)
    before = server.rules.asked
    for _ in range(10):
        await server.ask("GET", f"{POD}/a", connection=server.connection)
    assert server.rules.asked == before + 10


@pytest.mark.parametrize("odd", [("Upgrade", "keep-alive"), ("TE", "trailers"), ("Connection", "keep-alive, x")])
async def test_headers_that_change_the_connection_are_always_parsed(server, odd):
    _, asked = await repeated(server, times=6, headers=[odd])
    assert asked == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{POD}/a?pretty=true", ()),
        (f"{POD}/a?resourceVersion=x", ()),
        (f"{POD}//a", ()),
        ("/api/v1/namespaces/default", ()),
        ("/api/v1/watch/namespaces/default/configmaps/a?timeoutSeconds=1", ()),
        (f"{POD}/a", [("Accept", "application/yaml")]),
        (f"{POD}/a", [("Impersonate-User", "tenant-b")]),
        (f"{POD}/a", [("Audit-ID", "mine")]),
        (f"{POD}/a", [("Connection", "close")]),
        (f"{POD}/absent", ()),
    ],
)
async def test_what_is_out_of_the_ordinary_goes_the_usual_way(server, path, headers):
    if ("Connection", "close") in headers or "watch" in path:
        assert (await repeated(server, path, times=1, headers=headers))[1] >= 1
        return
    answers, asked = await repeated(server, path, times=8, headers=headers)
    assert asked >= 1
    assert len({(a.status, a.body) for a in answers}) == 1


async def test_a_request_that_hides_another_is_left_to_the_parser(server):
    await repeated(server, times=8)
    reader, writer = server.connection
    head = f"GET {POD}/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer tenant-a\r\n\r\n"
    writer.write((head + head.replace("/a ", "/b ")).encode())
    found = [await server.next_answer(reader) for _ in range(2)]
    assert [msgspec.json.decode(a.body)["data"]["key"] for a in found] == ["a", "b"]


async def test_a_flood_of_them_leaves_a_turn_to_others(server):
    """What is over in no time takes a turn like everything else."""
    await repeated(server, times=8)
    begun = []
    for level in server.fairness.levels.values():
        level.glance = lambda: begun.append(1) or False
    assert (await server.ask("GET", f"{POD}/a", connection=server.connection)).status == 200
    assert begun, "it was not let through at once, so it waited like others"


async def test_a_body_of_a_known_length_is_not_parsed_again_and_comes_whole(server):
    connection = await server.connect()
    for name in ("c0", "c1", "c2", "c3"):
        answer = await server.ask("POST", POD, token="admin", tree=configmap(name, key=name), connection=connection)
        assert (answer.status, answer.json["data"]) == (201, {"key": name})
    assert (await server.ask("POST", POD, token="admin", tree=configmap("c3", key="c3"), connection=connection)).status == 409


async def test_a_body_that_comes_in_parts_is_waited_for(server):
    connection = reader, writer = await server.connect()
    for name in ("d0", "d1", "d2"):
        await server.ask("POST", POD, token="admin", tree=configmap(name, key=name), connection=connection)
    body = msgspec.json.encode(configmap("d3", key="d3"))
    head = f"POST {POD} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
    writer.write(head.encode() + body[:10])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(body[10:])
    assert (await server.next_answer(reader)).json["data"] == {"key": "d3"}


async def test_every_query_and_path_is_read_anew(server):
    connection = await server.connect()
    found = [await server.ask("GET", f"{POD}?limit={n}", connection=connection) for n in (1, 2, 3, 1)]
    assert [len(a.json["items"]) for a in found] == [1, 2, 3, 1]
    assert (await server.ask("GET", f"{POD}/%61", connection=connection)).json["data"] == {"key": "a"}
