"""The socket of the store: for the owner alone, whatever the path's length, and whatever comes through it."""

import asyncio
import os

import msgspec
import pytest

from bareboat.base.clock import SystemClock
from bareboat.cluster.layout import Layout
from bareboat.cluster.storekeeping import Request, Running, StoreRefused, StoreSocket, _short
from bareboat.models.scheme import Scheme
from bareboat.store.entry import head
from bareboat.store.log import Log
from bareboat.store.maintenance import Maintenance
from bareboat.store.memory import MemoryStore

KEY = "core/configmaps/ns/a"


@pytest.fixture
async def socket(tmp_path):
    layout = Layout(tmp_path / ("long-" * 30))
    log = Log(MemoryStore(), SystemClock(), lambda r: head("ConfigMap", "v1"))
    await log.start()
    await log.write(KEY, b'{"metadata":{"name":"a","namespace":"ns"}}', expect=0)
    socket = StoreSocket(layout, Maintenance(log, Scheme.builtin(), SystemClock(), cluster="c", instance="i"))
    await socket.start()
    yield layout.server / "store.sock"
    await socket.stop()
    await log.stop()
    assert not (layout.server / "store.sock").exists()


async def connected(path):
    with _short(path) as short:
        return await asyncio.open_unix_connection(short)


async def ask(path, request):
    reader, writer = await connected(path)
    taken = []

    async def sink(data):
        taken.append(data)

    try:
        return await Running(reader, writer).ask(request, lambda done, of: None, sink), b"".join(taken)
    finally:
        writer.close()


async def test_only_the_owner_may_open_it(socket):
    assert os.stat(socket).st_mode & 0o777 == 0o600


async def test_it_answers_with_results_bytes_and_errors(socket):
    figures, _ = await ask(socket, Request(verb="stats"))
    assert (figures["objects"], figures["head"]) == (1, 1)
    header, data = await ask(socket, Request(verb="backup"))
    assert header["objects"] == 1
    assert data.startswith(b"bareboat-backup 1\n")
    with pytest.raises(StoreRefused, match="core/configmaps/ns/none does not exist"):
        await ask(socket, Request(verb="get", key="core/configmaps/ns/none"))
    with pytest.raises(StoreRefused, match="unknown verb 'sing'"):
        await ask(socket, Request(verb="sing"))


@pytest.mark.parametrize("sent", [b"\n", b"{}\n", b"\xff\xfe\n", b'{"verb":7}\n', b"x" * 100_000 + b"\n", b""])
async def test_whoever_sends_nonsense_is_told_so_and_nobody_else_suffers(socket, sent):
    reader, writer = await connected(socket)
    writer.write(sent)
    writer.write_eof()
    answer = msgspec.json.decode(await reader.readline())
    assert answer["error"]
    writer.close()
    assert (await ask(socket, Request(verb="get", key=KEY)))[0]["revision"] == 1


async def test_a_key_that_is_none_is_refused(socket):
    for key in ("", "a", "core/configmaps", "core/configmaps/ns/a/b"):
        with pytest.raises(StoreRefused, match="is no key"):
            await ask(socket, Request(verb="get", key=key, revision=1))
