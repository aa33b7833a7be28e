"""A light HTTPS client: one connection, one request at a time, JSON in and out; many connections side by side for setting up.

It verifies nothing: it talks to the server that the benchmark has started, or to the one that it was told to.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """An answer that is no success."""


def tls(certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


class Connection:
    """``async with Connection(url, token) as connection``. ``node``: as its agent, for a token that may impersonate."""

    def __init__(self, url: str, token: str = "", certificate: tuple[Path, Path] | None = None, node: str = "") -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._tls = tls(certificate) if parts.scheme == "https" else None
        self._authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        if node:
            self._authorization += f"Impersonate-User: system:node:{node}\r\nImpersonate-Group: system:nodes\r\n"

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=1 << 26)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(OSError):  # the other side may have closed it already
            await self._writer.wait_closed()

    def start(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json", accept: str = "*/*") -> None:
        """Send a request whose answer somebody else reads, or nobody."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{self._authorization}Content-Type: {content_type}\r\nAccept: {accept}\r\n"
        )
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def until(self, text: bytes) -> bytes:
        """What comes, up to and with ``text``."""
        return await self._reader.readuntil(text)

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json", accept: str = "*/*"
    ) -> bytes:
        """The body of the answer. Raises Refused."""
        self.start(method, path, body, content_type, accept)
        top = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        answer = await self._body(top)
        status = int(top.split(" ", 2)[1])
        if status > 299:
            raise Refused(f"{method} {path}: {status} {answer[:300].decode(errors='replace')}")
        return answer

    async def _body(self, top: str) -> bytes:
        if "transfer-encoding: chunked" not in top:
            length = int(top.partition("content-length:")[2].split("\r\n", 1)[0])
            return await self._reader.readexactly(length)
        parts = []
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)

    async def json(self, method: str, path: str, tree: Any = None) -> Any:
        return json.loads(await self.request(method, path, b"" if tree is None else json.dumps(tree).encode()))


async def send_all(
    url: str, token: str, requests: Iterable[tuple[str, str, bytes]], clients: int = 16, content_type: str = "application/json"
) -> None:
    """Every request (method, path, body) once, over so many connections."""
    waiting = iter(requests)

    async def work() -> None:
        async with Connection(url, token) as connection:
            for method, path, body in waiting:
                await connection.request(method, path, body, content_type)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(work())
