"""Upgrades through the proxies: once the other server agrees to another protocol, bytes go both ways and mean nothing here.

In: a client's upgrade request whose connection can be taken over, and where it goes. Out: the other server's refusal as an answer, or
a connection that was handed over and has ended. WebSocket, SPDY and whatever else are all the same.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.models.status import BadRequest, ServiceUnavailable
from bareboat.server.streams.pipes import CHUNK, TransportPipe

#: Seconds until the other server must have answered, and the most that it may say before.
PATIENCE, HEAD, REFUSAL = 30.0, 1 << 16, 1 << 20
#: A browser's way to give a token: it is meant for this server only.
_BEARER = "base64url.bearer.authorization.k8s.io."
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """``url`` with the path, ``name`` what its certificate must say ("" for its host), ``headers`` beside the client's own."""

    url: str
    query: Pairs
    headers: Pairs
    tls: ssl.SSLContext | None = None
    name: str = ""


def is_upgrade(request: ApiRequest) -> bool:
    wanted = {part.strip().lower() for part in request.headers.get("connection", "").split(",")}
    return "upgrade" in wanted and bool(request.headers.get("upgrade")) and request.connection is not None


async def tunnelled(request: ApiRequest, target: Target, open_: set[TransportPipe]) -> ApiResponse:
    """Returns when both sides are done; ``open_`` has the client's until then. Raises ServiceUnavailable, BadRequest."""
    asked = _asked(request, target)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await _dial(target)
            writer.write(asked)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    try:
        if _status(head) != 101:
            return await _refused(head, reader)
        await _joined(request, head, reader, writer, open_)
    finally:
        writer.close()
    return ApiResponse(101, hijacked=True)


async def _dial(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(target.url)
    port = place.port or (443 if target.tls else 80)
    name = (target.name or place.hostname) if target.tls else None
    return await asyncio.open_connection(place.hostname, port, ssl=target.tls, server_hostname=name, limit=HEAD)


def _asked(request: ApiRequest, target: Target) -> bytes:
    """The request's head. Raises BadRequest for a header that would be two."""
    place = urlsplit(target.url)
    path = quote(place.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{urlencode(target.query)}" if target.query else "")
    named = [(name, value) for name, value in target.headers if name != "sec-websocket-protocol"]
    protocols = (part.strip() for part in request.headers.get("sec-websocket-protocol", "").split(","))
    kept = ", ".join(part for part in protocols if part and not part.startswith(_BEARER))
    named += [("sec-websocket-protocol", kept)] if kept else []
    own = [("host", place.netloc), ("connection", "Upgrade"), ("upgrade", request.headers["upgrade"])]
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*own, *named])]
    if any("\r" in line or "\n" in line for line in lines):
        raise BadRequest("a header has a line break in it")
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")


def _status(head: bytes) -> int:
    first = head.split(b"\r\n", 1)[0].split()
    return int(first[1]) if len(first) > 1 and first[1].isdigit() else 502


def _headers(head: bytes) -> Iterable[tuple[str, str]]:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


async def _refused(head: bytes, reader: asyncio.StreamReader) -> ApiResponse:
    """What the other server says instead; as much of it as it sends at once."""
    headers = dict(_headers(head))
    length = headers.get("content-length", "")
    async with asyncio.timeout(PATIENCE):
        try:
            body = await reader.readexactly(min(int(length), REFUSAL)) if length.isdigit() else b""
        except asyncio.IncompleteReadError as error:
            body = error.partial
    return ApiResponse(_status(head), body, content_type=headers.get("content-type", "text/plain"))


async def _joined(
    request: ApiRequest, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, open_: set[TransportPipe]
) -> None:
    hijack: Any = request.connection
    transport, early = hijack()
    pipe = TransportPipe(transport, early)
    open_.add(pipe)
    transport.write(head)
    there = asyncio.ensure_future(_outward(pipe, writer))
    try:
        while data := await reader.read(CHUNK):
            await pipe.write(data)
    except ConnectionError:
        pass  # one side is gone: so is the other
    finally:
        there.cancel()
        await asyncio.gather(there, return_exceptions=True)
        open_.discard(pipe)
        await pipe.close()


async def _outward(pipe: TransportPipe, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await pipe.read():
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
