"""A command's streams over SPDY/3.1, which every CRI runtime serves: one stream each for input, both outputs, the status and sizes.

What comes in: the URL that Exec or Attach answered with. What goes out: the contract's ``Streams``. Unlike the WebSockets of older runtimes
it can end the input. Header blocks go out compressed without the protocol's dictionary, which zlib's own header says; those that come in
say nothing that is needed. Windows are not kept, as in upstream: the connection under it slows a fast writer down.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from bareboat.contracts.cri import Size
from bareboat.contracts.errors import Unavailable
from bareboat_cri_grpc.streaming import KILLED, exit_code

_SYN_STREAM, _RST_STREAM, _PING, _GOAWAY = 1, 3, 6, 7
_FIN = 0x01
_PIECE = 1 << 15
_PATIENCE = 30.0
#: Seconds between a size and what is typed after it: a runtime takes the two from streams of their own, in any order.
_SETTLING = 0.1
PROTOCOL = "v4.channel.k8s.io"
Output = tuple[Literal["stdout", "stderr"], bytes]


class SpdyStreams:
    """``wait`` without a status is as if it had been killed; an attached container has none at all (``attached``)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, attached: bool) -> None:
        self._reader, self._writer = reader, writer
        self._zlib = zlib.compressobj()
        self._names: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._open: set[str] = set()
        self._code = 0 if attached else KILLED
        self._status = b""
        self._ended = asyncio.Event()
        self._resized = False

    @classmethod
    async def open(cls, url: str, *, stdin: bool, tty: bool, attached: bool = False) -> SpdyStreams:
        """Raises Unavailable."""
        where = urlsplit(url)
        writer = None
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(where.hostname, where.port)
                await _upgrade(reader, writer, where.netloc, f"{where.path}?{where.query}" if where.query else where.path)
        except (OSError, asyncio.IncompleteReadError) as error:
            if writer is not None:
                writer.close()
            raise Unavailable(f"the runtime's streams at {url}: {error}", reason="StreamFailed") from error
        made = cls(reader, writer, attached=attached)
        names = ["error", *(["stdin"] if stdin else []), "stdout", *(["resize"] if tty else ["stderr"])]
        for number, name in enumerate(names):
            made._begin(2 * number + 1, name)
        await made._flush()
        return made

    def _begin(self, number: int, name: str) -> None:
        pairs = [("streamtype", name)]
        plain = struct.pack(">I", len(pairs))
        for pair in pairs:
            for text in pair:
                plain += struct.pack(">I", len(text)) + text.encode()
        block = self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack(">IIH", number, 0, 0) + block
        self._writer.write(struct.pack(">HHI", 0x8003, _SYN_STREAM, len(payload)) + payload)
        self._names[number], self._ids[name] = name, number
        self._open.add(name)

    async def _flush(self) -> None:
        try:
            await self._writer.drain()
        except ConnectionError:
            self._ended.set()  # the command has ended: nobody reads it

    async def _send(self, name: str, data: bytes, *, fin: bool = False) -> None:
        number = self._ids.get(name)
        if number is None or self._writer.is_closing():
            return
        for at in range(0, len(data) or 1, _PIECE):
            piece = data[at : at + _PIECE]
            self._writer.write(struct.pack(">II", number, (_FIN if fin else 0) << 24 | len(piece)) + piece)
            await self._flush()

    async def write_stdin(self, data: bytes) -> None:
        if self._resized:
            self._resized = False
            await asyncio.sleep(_SETTLING)
        if data:
            await self._send("stdin", data)

    async def close_stdin(self) -> None:
        await self._send("stdin", b"", fin=True)

    async def resize(self, size: Size) -> None:
        await self._send("resize", msgspec.json.encode({"Width": size.width, "Height": size.height}))
        self._resized = True

    async def output(self) -> AsyncIterator[Output]:
        """Until both outputs and the status have ended, or the connection has."""
        try:
            while self._open & {"stdout", "stderr", "error"}:
                first, second = struct.unpack(">II", await self._reader.readexactly(8))
                payload = await self._reader.readexactly(second & 0xFFFFFF)
                if first & 0x80000000:
                    self._control(first & 0xFFFF, payload)
                    continue
                name = self._names.get(first, "")
                if second >> 24 & _FIN:
                    self._open.discard(name)
                if name == "error":
                    self._status += payload
                elif payload and name in ("stdout", "stderr"):
                    yield "stderr" if name == "stderr" else "stdout", payload
        except (asyncio.IncompleteReadError, ConnectionError):
            self._open.clear()  # the other side is gone: what it did not say is not known
        finally:
            if self._status:
                self._code = exit_code(self._status)
            self._ended.set()

    def _control(self, kind: int, payload: bytes) -> None:
        if kind == _PING:
            self._writer.write(struct.pack(">HHI", 0x8003, _PING, len(payload)) + payload)
        elif kind == _RST_STREAM:
            self._open.discard(self._names.get(struct.unpack_from(">I", payload)[0], ""))
        elif kind == _GOAWAY:
            self._open.clear()

    async def wait(self) -> int:
        """Reads on if nobody does: the status comes last."""
        if not self._ended.is_set() and not self._writer.is_closing():
            async for _ in self.output():
                continue
        return self._code

    async def close(self) -> None:
        self._ended.set()
        if not self._writer.is_closing():
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except ConnectionError:
                return


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> None:
    """Raises ConnectionError when the answer is no upgrade."""
    words = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    writer.write(f"{words}X-Stream-Protocol-Version: {PROTOCOL}\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    if " 101 " not in answer.split("\r\n")[0]:
        raise ConnectionError(answer.split("\r\n")[0])
