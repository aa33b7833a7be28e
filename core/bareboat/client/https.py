"""HTTPS transport on aiohttp, with a client certificate or a bearer token, and the cluster's own CA."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.client.client import error_of
from bareboat.client.transport import NO_QUERY, Answer, RawEvent, raw_event
from bareboat.models.status import ServiceUnavailable, from_status

if TYPE_CHECKING:
    import aiohttp

#: A read of this many bytes at most from a watch at once.
CHUNK = 1 << 16
#: A token file is read again after this many seconds (projected tokens are rotated).
TOKEN_AGE = 60.0


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode


class HttpsTransport:
    """One server. Connections are kept and shared; sessions belong to the event loop that first uses them."""

    def __init__(
        self,
        server: str,
        *,
        ca_data: str = "",
        certificate: Path | None = None,
        key: Path | None = None,
        token: str = "",
        token_file: Path | None = None,
        user_agent: str = "bareboat",
    ) -> None:
        self.server = server.rstrip("/")
        self._token = token
        self._token_file = token_file
        self._token_read = -TOKEN_AGE
        self._agent = user_agent
        self._ssl = ssl.create_default_context(cadata=ca_data or None)
        if certificate is not None:
            self._ssl.load_cert_chain(certificate, key)
        self._session: aiohttp.ClientSession | None = None

    def renew(self, certificate: Path, key: Path) -> None:
        """Show another certificate from now on; connections that are open stay."""
        self._ssl.load_cert_chain(certificate, key)

    @property
    def tls(self) -> ssl.SSLContext:
        """Whom it trusts and who it is: for other servers of the same cluster."""
        return self._ssl

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes = b"",
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        import aiohttp

        headers = {**self._headers(), "Accept": accept, **({"Content-Type": content_type} if body else {})}
        try:
            async with self._sessions().request(
                method, self.server + path, params=dict(query), data=body or None, headers=headers
            ) as response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
            raise ServiceUnavailable(f"{self.server}: {error or type(error).__name__}") from error
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, data)

    async def watch(self, path: str, *, query: Mapping[str, str] = NO_QUERY) -> AsyncIterator[RawEvent]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_read=None, sock_connect=10)
        headers = {**self._headers(), "Accept": "application/json"}
        try:
            async with self._sessions().get(
                self.server + path, params={**query, "watch": "true"}, headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise from_status(_tree(await response.read()), response.status)
                async for line in _lines(response.content.iter_chunked(CHUNK)):
                    yield _event(line)
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
            raise ServiceUnavailable(f"{self.server}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(ssl=self._ssl, limit=0, keepalive_timeout=60)
            timeout = aiohttp.ClientTimeout(total=60, sock_connect=10)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers={"User-Agent": self._agent})
        return self._session

    def _headers(self) -> dict[str, str]:
        if self._token_file is not None and asyncio.get_running_loop().time() - self._token_read > TOKEN_AGE:
            self._token = self._token_file.read_text().strip()
            self._token_read = asyncio.get_running_loop().time()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *complete, last = chunk.split(b"\n")
        for line in complete:
            yield b"".join([*rest, line])
            rest = []
        if last:
            rest.append(last)


def _event(line: bytes) -> RawEvent:
    decoded = _decode_line(line)
    data = bytes(decoded.object)
    if decoded.type == "ERROR":
        raise error_of(data)
    return raw_event(decoded.type, data)  # type: ignore[arg-type]  # the server sends no other


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return tree if isinstance(tree, dict) else {}
