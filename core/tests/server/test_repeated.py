"""Requests with a known header block: the short way gives what the usual one gives, and holds nothing when it is over."""

import asyncio
import gzip

import pytest

from bareboat.contracts.admission import AdmissionPlugin
from bareboat.server.repeated import Repeated

MAPS = "/api/v1/namespaces/default/configmaps"


def configmap(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class Slow(AdmissionPlugin):
    """Holds writes while it is told to."""

    name = "slow"

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.holding = 0

    async def validate(self, request):
        self.holding += 1
        await self.open.wait()
        self.holding -= 1


@pytest.fixture
def short(monkeypatch):
    """The paths of those that went the short way."""
    went, run = [], Repeated.run

    async def counted(self, exchange, body):
        went.append(exchange.line.path)
        await run(self, exchange, body)

    monkeypatch.setattr(Repeated, "run", counted)
    return went


@pytest.fixture
async def slow():
    return Slow()


@pytest.fixture
async def connected(serve, slow, short):
    """A server and a connection on which three creates were answered."""
    opened = []

    async def start(**options):
        server = await serve(known=True, admission=[slow], **options)
        server.connection = await server.connect()
        opened.append(server.connection[1])
        server.create = lambda name, path=MAPS, **more: server.ask(
            "POST", path, "tenant-a", configmap(name, key="x"), connection=server.connection, **more
        )
        for name in ("w0", "w1", "w2"):
            assert (await server.create(name)).status == 201
        short.clear()
        return server

    yield start
    for writer in opened:
        writer.transport.abort()


def at_rest(server):
    """Nothing is held, counted or timed for a request that is over."""
    levels = server.fairness.levels.values()
    assert not any(level.used or level.executing or level.waiting or level.held for level in levels)
    assert not server.edge.deadlines._running
    assert server.kernel.service.requests.inflight == {"readOnly": 0, "mutating": 0}
    assert not server.listener._server.server_state.tasks


async def test_it_gives_what_the_usual_way_gives(connected, short):
    server = await connected()
    usual = await server.ask("POST", MAPS, "tenant-a", configmap("a0", key="x"))
    assert not short
    quick = await server.create("a1")
    assert short == [MAPS]
    assert usual.headers.pop("audit-id") != quick.headers.pop("audit-id")
    assert quick.headers == usual.headers
    assert (quick.status, quick.json["data"]) == (201, {"key": "x"})
    at_rest(server)


async def test_bodies_may_differ_in_length(connected, short):
    server = await connected()
    for n in (1, 20, 300, 20_000):
        answer = await server.ask("POST", MAPS, "tenant-a", configmap(f"l{n}", key="x" * n), connection=server.connection)
        assert (answer.status, answer.json["data"]) == (201, {"key": "x" * n})
    assert len(short) == 4
    at_rest(server)


@pytest.mark.parametrize("length", ["+60", "060", "6_0", "60\r\nContent-Length: 60", "60, 60", "0x3c", " 60", "", "-1"])
async def test_a_length_that_is_written_in_another_way_is_for_the_parser(connected, short, length):
    server = await connected()
    writer = server.connection[1]
    head = f"POST {MAPS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer tenant-a\r\n"
    writer.write(f"{head}Content-Length: {length}\r\nContent-Type: application/json\r\n\r\n{{}}".encode() + b" " * 58)
    await asyncio.sleep(0.1)
    assert not short
    writer.transport.abort()


async def test_every_method_query_and_path_goes_it(connected, short):
    server = await connected()

    async def ask(method, path, *more, **options):
        answers = [await server.ask(method, path, "tenant-a", *more, connection=server.connection, **options) for _ in range(3)]
        return [a.status for a in answers]

    assert await ask("PUT", f"{MAPS}/w1", configmap("w1", key="new")) == [200] * 3
    assert await ask("PATCH", f"{MAPS}/w%31", {"data": {"key": "newer"}}, media="application/merge-patch+json") == [200] * 3
    assert await ask("GET", f"{MAPS}?limit=2&labelSelector=a%21%3Db") == [200] * 3
    assert await ask("DELETE", f"{MAPS}/w1") == [200, 404, 404]
    assert len(short) >= 7
    assert (await server.ask("GET", f"{MAPS}/w2?dryRun=All", "tenant-a", connection=server.connection)).json["data"] == {"key": "x"}
    at_rest(server)


async def test_refusals_and_warnings_are_told(connected, short):
    server = await connected()
    assert (await server.create("w0")).json["reason"] == "AlreadyExists"
    tree = {**configmap("b0"), "unknown": 1}
    for name in ("b0", "b1", "b2"):
        tree["metadata"]["name"] = name
        answer = await server.ask("POST", f"{MAPS}?fieldValidation=Warn", "tenant-a", tree, connection=server.connection)
        assert (answer.status, answer.headers["warning"]) == (201, '299 - "unknown field \\"unknown\\""')
    assert len(short) >= 2
    assert (await server.create("b3", path="/api/v1/namespaces/default/nothings")).status == 404
    at_rest(server)


async def test_what_is_withdrawn_is_withdrawn_at_once(connected):
    server = await connected()
    server.rules.allowed, server.rules.changes = "nothing", 1
    assert (await server.create("c0")).status == 403
    server.rules.allowed, server.rules.changes = "everything", 2
    server.who.revoked = True
    assert (await server.create("c0")).status == 401


async def test_who_waits_too_long_is_answered_504(connected, slow):
    server = await connected(timeout=0.5)
    slow.open.clear()
    assert (await server.create("d0")).json["reason"] == "Timeout"
    slow.open.set()
    assert (await server.create("d1")).status == 201
    at_rest(server)


async def test_a_request_whose_client_goes_is_carried_out(connected, slow):
    server = await connected()
    slow.open.clear()
    asking = asyncio.create_task(server.create("e0"))
    while not slow.holding:
        await asyncio.sleep(0.01)
    server.connection[1].transport.abort()
    await asyncio.gather(asking, return_exceptions=True)
    slow.open.set()
    while server.listener._server.server_state.tasks:
        await asyncio.sleep(0.01)
    at_rest(server)
    assert (await server.ask("GET", f"{MAPS}/e0")).status == 200


async def test_what_is_asked_while_one_runs_is_answered_after_it(connected, slow, short):
    server = await connected()
    reader, writer = server.connection
    slow.open.clear()
    asking = asyncio.create_task(server.create("p0"))
    while not slow.holding:
        await asyncio.sleep(0.01)
    assert short
    head = "HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer tenant-a\r\n\r\n"
    writer.write(f"GET {MAPS}/w1 {head}GET {MAPS}/w2 {head}".encode())
    await asyncio.sleep(0.1)
    slow.open.set()
    assert (await asking).json["metadata"]["name"] == "p0"
    assert [(await server.next_answer(reader)).json["metadata"]["name"] for _ in range(2)] == ["w1", "w2"]
    assert (await server.create("p1")).status == 201
    at_rest(server)


async def test_a_full_gate_refuses_it_in_plain_words(connected, slow, short):
    server = await connected(seats=1, patience=0.2)
    slow.open.clear()
    holding = asyncio.create_task(server.ask("POST", MAPS, "tenant-a", configmap("f0")))
    while not slow.holding:
        await asyncio.sleep(0.01)
    answer = await server.create("f1")
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, b"Too many requests, please try again later.\n", "1")
    assert short
    slow.open.set()
    await holding
    at_rest(server)


async def test_a_fault_of_ours_is_logged_and_answered(connected, monkeypatch, caplog):
    server = await connected()

    async def broken(request):
        raise RuntimeError("broken")

    monkeypatch.setattr(server.kernel.service, "handle", broken)
    assert (await server.create("g0")).status == 500
    assert "RuntimeError: broken" in caplog.text
    at_rest(server)


async def test_large_answers_come_whole_compressed_or_not(connected, short):
    server = await connected()
    for i in range(3):
        await server.ask("POST", MAPS, "tenant-a", configmap(f"large{i}", key="y" * 100_000))
    plain = [await server.ask("GET", f"{MAPS}?limit=9", "tenant-a", connection=server.connection) for _ in range(3)]
    assert len(short) == 2
    assert [len(a.json["items"]) for a in plain] == [6] * 3
    reader, writer = server.connection
    for _ in range(3):
        head = f"GET {MAPS}?limit=9 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer tenant-a\r\nAccept-Encoding: gzip\r\n\r\n"
        writer.write(head.encode())
        assert b"content-encoding: gzip" in await reader.readuntil(b"\r\n\r\n")
        packed = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            packed += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readexactly(2) == b"\r\n"
        assert gzip.decompress(packed) == plain[-1].body
    assert len(short) == 4
    at_rest(server)


async def test_watches_and_timeouts_are_left_to_the_usual_way(connected, short):
    server = await connected()
    for _ in range(3):
        await server.create("w0", path=f"{MAPS}?timeout=9s")
    assert not short
    for _ in range(2):
        answer = await server.ask("GET", f"{MAPS}?timeout=9s", connection=server.connection)
        assert answer.status == 200
    assert not short


@pytest.mark.parametrize("odd", [("Audit-ID", "mine"), ("Impersonate-User", "tenant-b")])
async def test_what_is_a_matter_of_its_own_is_left_to_the_usual_way(connected, short, odd):
    server = await connected()
    answers = [await server.create(f"h{i}", headers=[odd]) for i in range(3)]
    assert [a.status for a in answers] == [201] * 3
    assert not short
    if odd[0] == "Audit-ID":
        assert {a.headers["audit-id"] for a in answers} == {"mine"}


async def test_a_connection_is_kept_while_it_is_used_and_closed_when_it_is_not(connected, slow):
    server = await connected()
    server.listener._config.timeout_keep_alive = 0.4
    reader, writer = server.connection = await server.connect()
    for i in range(4):
        assert (await server.create(f"i{i}")).status == 201
        await asyncio.sleep(0.2)
    slow.open.clear()
    asking = asyncio.create_task(server.create("late"))
    await asyncio.sleep(1.0)
    slow.open.set()
    assert (await asking).status == 201
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.transport.abort()
