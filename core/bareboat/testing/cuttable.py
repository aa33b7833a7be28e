"""A way to a TCP server that can be cut: every connection through it ends at once, in the middle of whatever it carries."""

from __future__ import annotations

import asyncio

from bareboat.base.tasks import Tasks


class Cuttable:
    """``port`` of the loopback address leads to ``target`` there, until ``close``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks = Tasks()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> Cuttable:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        self._server.close()
        self.cut()
        await self._tasks.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            beyond, towards = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, towards), (beyond, writer)):
            self._tasks.spawn(self._carry(source, sink), name="cuttable")

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._writers.add(sink)
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            return  # cut
        finally:
            self._writers.discard(sink)
            sink.transport.abort()
