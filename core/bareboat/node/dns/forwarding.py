"""Questions about names that are not the cluster's, asked of the name servers that the node itself uses.

What comes in: a query as bytes. What goes out: the reply of the first name server that gives one, as it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
PORT = 53
PATIENCE = 2.0


class NoAnswer(Exception):
    """No name server has answered."""


def name_servers() -> list[str]:
    """Of the node, now."""
    lines = RESOLV_CONF.read_text().splitlines() if RESOLV_CONF.exists() else []
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"][:3]


class _Asking(asyncio.DatagramProtocol):
    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        transport.sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._query[:2] and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def ask(query: bytes, servers: list[str], *, tcp: bool = False) -> bytes:
    """Raises NoAnswer."""
    for server in servers:
        try:
            async with asyncio.timeout(PATIENCE):
                return await (_over_tcp(query, server) if tcp else _over_udp(query, server))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue
    raise NoAnswer(f"none of {servers} answers")


async def _over_udp(query: bytes, server: str) -> bytes:
    loop = asyncio.get_running_loop()
    transport, asking = await loop.create_datagram_endpoint(lambda: _Asking(query), remote_addr=(server, PORT))
    try:
        return await asking.answer
    finally:
        transport.close()


async def _over_tcp(query: bytes, server: str) -> bytes:
    reader, writer = await asyncio.open_connection(server, PORT)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        await writer.drain()
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
