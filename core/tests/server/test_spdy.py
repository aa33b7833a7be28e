"""SPDY/3.1: frames that survive the way, streams over a pipe, and peers that break the rules."""

import asyncio
import zlib

import pytest

from bareboat.server.streams import commands, forwarding, spdy
from bareboat.server.streams.session import Session


class Pipes:
    """Two ends of one connection in memory."""

    def __init__(self):
        self.there, self.back = asyncio.Queue(), asyncio.Queue()
        self.closed = False

    async def read(self):
        return await self.there.get()

    async def write(self, data):
        self.back.put_nowait(data)

    async def close(self):
        self.closed = True


def test_the_dictionary_is_the_one_of_the_protocol():
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


def test_frames_survive_the_way_in_any_pieces():
    writer, reader = spdy.Writer(), spdy.Reader()
    sent = b"".join(
        (
            writer.syn_stream(1, {"streamType": "error", "port": "80"}),
            writer.syn_stream(3, {"streamType": "data"}, fin=True),
            writer.data(1, b"hello"),
            writer.data(1, b"", fin=True),
            writer.ping(7),
            writer.reset(3, 5),
            writer.window_update(1, 100),
        )
    )
    frames = [frame for at in range(len(sent)) for frame in reader.feed(sent[at : at + 1])]
    assert [(f.type, f.stream, f.fin, f.data, f.code) for f in frames] == [
        (spdy.SYN_STREAM, 1, False, b"", 0),
        (spdy.SYN_STREAM, 3, True, b"", 0),
        (0, 1, False, b"hello", 0),
        (0, 1, True, b"", 0),
        (spdy.PING, 0, False, b"", 7),
        (spdy.RST_STREAM, 3, False, b"", 5),
        (spdy.WINDOW_UPDATE, 1, False, b"", 100),
    ]
    assert frames[0].headers == {"streamtype": ["error"], "port": ["80"]}
    assert frames[1].headers == {"streamtype": ["data"]}


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\x00" * 10 + b"xx",
        b"\x80\x03\x00\x06\x00\x00\x00\x01x",
    ],
    ids=["another version", "headers that are not compressed", "a short ping"],
)
def test_what_is_no_spdy_is_refused(data):
    with pytest.raises(spdy.ProtocolError):
        list(spdy.Reader().feed(data))


async def test_streams_are_opened_written_and_ended_by_either_side():
    pipe, writer = Pipes(), spdy.Writer()
    session = Session(pipe)
    running = asyncio.create_task(session.run())
    pipe.there.put_nowait(writer.syn_stream(1, {"streamtype": "stdin"}) + writer.data(1, b"in", fin=True))
    stream = await anext(session.accepted())
    assert stream.header("streamtype") == "stdin"
    assert (await stream.read(), await stream.read(), await stream.read()) == (b"in", b"", b"")
    await stream.write(b"x" * (spdy.PIECE + 1))
    await stream.end()
    pipe.there.put_nowait(b"")
    await running
    back = spdy.Reader()
    frames = [f for _ in range(pipe.back.qsize()) for f in back.feed(pipe.back.get_nowait())]
    data = [f for f in frames if f.type == 0]
    assert [len(f.data) for f in data] == [spdy.PIECE, 1, 0]
    assert data[-1].fin


async def test_a_lost_connection_ends_every_stream():
    pipe, writer = Pipes(), spdy.Writer()
    session = Session(pipe)
    running = asyncio.create_task(session.run())
    pipe.there.put_nowait(writer.syn_stream(1, {"streamtype": "stdin"}))
    stream = await anext(session.accepted())
    pipe.there.put_nowait(b"")
    assert await stream.read() == b""
    await running


async def test_a_stream_number_that_is_taken_is_refused():
    pipe, writer = Pipes(), spdy.Writer()
    session = Session(pipe)
    running = asyncio.create_task(session.run())
    pipe.there.put_nowait(writer.syn_stream(1, {}) + writer.syn_stream(1, {}) + writer.syn_stream(2, {}))
    pipe.there.put_nowait(b"")
    await running
    back = spdy.Reader()
    frames = [f for _ in range(pipe.back.qsize()) for f in back.feed(pipe.back.get_nowait())]
    assert [(f.type, f.stream) for f in frames] == [(spdy.SYN_REPLY, 1), (spdy.RST_STREAM, 1), (spdy.RST_STREAM, 2)]


async def test_a_stream_that_nobody_reads_holds_back_the_connection():
    pipe, writer = Pipes(), spdy.Writer()
    session = Session(pipe)
    running = asyncio.create_task(session.run())
    pipe.there.put_nowait(writer.syn_stream(1, {}))
    stream = await anext(session.accepted())
    for _ in range(40):
        pipe.there.put_nowait(writer.data(1, b"x" * 100_000))
    pipe.there.put_nowait(b"")
    for _ in range(100):
        await asyncio.sleep(0)
    assert pipe.there.qsize() > 20  # most of it was not even taken from the client
    read = 0
    while data := await stream.read():
        read += len(data)
    assert read == 4_000_000
    await running


async def test_a_frame_that_is_too_long_ends_the_session():
    reader = spdy.Reader()
    with pytest.raises(spdy.ProtocolError, match="longer than"):
        list(reader.feed(b"\x00\x00\x00\x01\x00\xff\xff\xff"))


class Agent:
    """An agent's WebSocket that says nothing."""

    closed = False

    async def close(self):
        self.closed = True

    async def send_bytes(self, data):
        pass

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.Event().wait()


@pytest.mark.parametrize("start", [b"", spdy.Writer().syn_stream(1, {"streamtype": "error"})], ids=["at once", "after the streams"])
async def test_a_command_whose_client_speaks_no_spdy_ends_quietly(start):
    pipe, agent = Pipes(), Agent()
    pipe.there.put_nowait(start + b"\x80\x02\x00\x01\x00\x00\x00\x00")
    async with asyncio.timeout(5):
        await commands.over_spdy(pipe, agent, {"error"}, status=True)
    assert agent.closed
    assert pipe.closed


async def test_a_port_forward_whose_client_speaks_no_spdy_ends_quietly():
    pipe = Pipes()
    pipe.there.put_nowait(b"\x80\x02\x00\x01\x00\x00\x00\x00")
    async with asyncio.timeout(5):
        await forwarding.over_spdy(pipe, None)
    assert pipe.closed
