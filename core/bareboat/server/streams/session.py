"""A SPDY connection as streams: the client opens them, either side writes and ends them.

In: a pipe. Out: the streams that the client opens, in order, until the connection ends. Windows are not kept: as in upstream, the
connection under it is what slows a fast writer down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bareboat.server.streams import spdy
from bareboat.server.streams.pipes import Pipe

#: Bytes of one stream that wait for their reader before the connection is read no further.
WAITING = 1 << 20
#: Streams of one connection at a time.
STREAMS = 1000
_REFUSED, _CANCEL, _PROTOCOL = 3, 5, 1


class Stream:
    """One of a session's streams. Reading ends at the client's end of it; ``write`` after the session's end raises ConnectionError."""

    def __init__(self, session: Session, number: int, headers: dict[str, list[str]]) -> None:
        self.number = number
        self._session = session
        self._headers = headers
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._held = 0
        self._room = asyncio.Event()
        self._room.set()
        self._over = False
        self._closed = False

    def header(self, name: str) -> str:
        return (self._headers.get(name) or [""])[0]

    async def read(self) -> bytes:
        """b"" at the end, again and again."""
        if self._over and self._incoming.empty():
            return b""
        data = await self._incoming.get()
        self._held -= len(data)
        if self._held < WAITING:
            self._room.set()
        if not data:
            self._over = True
        return data

    async def write(self, data: bytes) -> None:
        for at in range(0, len(data), spdy.PIECE):
            await self._session.send(self._session.writer.data(self.number, data[at : at + spdy.PIECE]))

    async def end(self) -> None:
        """Nothing more comes from here. Twice is fine."""
        if not self._closed:
            self._closed = True
            await self._session.send(self._session.writer.data(self.number, b"", fin=True))

    async def reset(self) -> None:
        self._closed = True
        await self._session.send(self._session.writer.reset(self.number, _CANCEL))

    async def feed(self, data: bytes) -> None:
        """Waits while too much is unread."""
        await self._room.wait()
        self._incoming.put_nowait(data)
        self._held += len(data)
        if self._held >= WAITING:
            self._room.clear()

    def cut(self) -> None:
        """The connection is gone: readers see the end once they have read what came."""
        self._over = True
        if self._incoming.empty():
            self._incoming.put_nowait(b"")


class Session:
    """``run`` reads until the connection ends; ``accepted`` gives the streams that the client opens."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._reader = spdy.Reader()
        self.writer = spdy.Writer()
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Returns when the client is gone; raises ProtocolError for what is no SPDY."""
        try:
            while data := await self._pipe.read():
                for frame in self._reader.feed(data):
                    await self._take(frame)
        except ConnectionError:
            pass  # the client went without a word: the same as its end
        finally:
            for stream in self._streams.values():
                stream.cut()
            self._opened.put_nowait(None)

    async def accepted(self) -> AsyncIterator[Stream]:
        while (stream := await self._opened.get()) is not None:
            yield stream

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self._pipe.write(data)

    async def _take(self, frame: spdy.Frame) -> None:
        if frame.type == spdy.SYN_STREAM:
            await self._open(frame)
        elif frame.type == spdy.PING:
            await self.send(self.writer.ping(frame.code))
        elif (stream := self._streams.get(frame.stream)) is not None:
            await self._feed(stream, frame)

    async def _open(self, frame: spdy.Frame) -> None:
        if len(self._streams) >= STREAMS:
            await self.send(self.writer.reset(frame.stream, _REFUSED))
            return
        if frame.stream in self._streams or frame.stream % 2 == 0:
            await self.send(self.writer.reset(frame.stream, _PROTOCOL))
            return
        stream = self._streams[frame.stream] = Stream(self, frame.stream, frame.headers)
        await self.send(self.writer.syn_reply(frame.stream))
        self._opened.put_nowait(stream)
        if frame.fin:
            await stream.feed(b"")

    async def _feed(self, stream: Stream, frame: spdy.Frame) -> None:
        if frame.type == 0:
            if frame.data:
                await stream.feed(frame.data)
                await self.send(self.writer.window_update(stream.number, len(frame.data)))
            if frame.fin:
                await stream.feed(b"")
        elif frame.type == spdy.RST_STREAM:
            self._streams.pop(stream.number, None)
            stream.cut()

    def forget(self, stream: Stream) -> None:
        """Both sides are done with it."""
        self._streams.pop(stream.number, None)
