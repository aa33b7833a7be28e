"""Posts reviews to webhooks: to a URL, or to a Service through the addresses of its ready endpoints, so that no proxy is needed.

In: a client configuration as a tree (``url`` or ``service``, ``caBundle``; for whom the service asks who we are ``token`` or
``tokenFile``, or ``certificate`` and ``key`` as PEM) and a review. Out: the answer's bytes, or WebhookFailed. The certificate must be for
``<service>.<namespace>.svc``. Connections are kept.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bareboat.base.ids import Ids
from bareboat.client.endpoints import NoEndpoint, endpoint
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1

if TYPE_CHECKING:
    import aiohttp

#: Bytes of an answer at most, unless the caller says otherwise.
LIMIT = 4 << 20


class WebhookFailed(ValueError):
    """The call did not come to a usable answer; the text says why, as upstream words it."""


class Address(NamedTuple):
    """``shown`` is the URL for people; ``server_name`` what the certificate must be for ("" = the URL's host)."""

    url: str
    shown: str
    server_name: str = ""


class WebhookCaller:
    """Of one server. ``close`` when it stops."""

    def __init__(self, reader: Reader, ids: Ids) -> None:
        self._reader = reader
        self._ids = ids
        self._session: aiohttp.ClientSession | None = None

    async def post(self, client: Mapping[str, Any], review: bytes, timeout: float = 30.0, *, limit: int = LIMIT) -> bytes:
        """``timeout`` in seconds, ``limit`` in bytes of the answer. Raises WebhookFailed."""
        import aiohttp

        address = self._address(client, timeout)
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await self._post(address, client, review, limit)
                except aiohttp.ServerDisconnectedError:  # a kept connection that the other side had closed
                    return await self._post(address, client, review, limit)
        except TimeoutError as error:
            raise WebhookFailed(f'Post "{address.shown}": context deadline exceeded') from error
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise WebhookFailed(f'Post "{address.shown}": {error}') from error

    async def _post(self, address: Address, client: Mapping[str, Any], review: bytes, limit: int) -> bytes:
        more: dict[str, Any] = {"server_hostname": address.server_name} if address.server_name else {}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if address.server_name:
            headers["Host"] = address.server_name
        if "token" in client or "tokenFile" in client:
            headers["Authorization"] = f"Bearer {client.get('token') or Path(client['tokenFile']).read_text().strip()}"
        if not address.url.startswith("http://"):
            more["ssl"] = _trust(client.get("caBundle") or "", client.get("certificate") or "", client.get("key") or "")
        async with self._open().post(address.url, data=review, headers=headers, allow_redirects=False, **more) as answer:
            data = await answer.content.read(limit + 1)
            while len(data) <= limit and (chunk := await answer.content.read(limit + 1)):
                data += chunk
            if len(data) > limit:
                raise WebhookFailed(f'Post "{address.shown}": the answer is larger than {limit} bytes')
            if answer.status != 200:
                text = data[:256].decode(errors="replace").strip()
                raise WebhookFailed(f"an error on the server ({text!r}) has prevented the request from succeeding: status {answer.status}")
            return data

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None))
        return self._session

    def _address(self, client: Mapping[str, Any], timeout: float) -> Address:
        wait = f"timeout={timeout:g}s"
        url = client.get("url")
        if url:
            full = f"{url}{'&' if '?' in url else '?'}{wait}"
            return Address(full, full)
        service = client.get("service")
        if not service:
            raise WebhookFailed("webhook configuration must have either service or URL")
        name, namespace, port = service["name"], service["namespace"], service.get("port") or 443
        path = (service.get("path") or "/").lstrip("/")
        server = f"{name}.{namespace}.svc"
        shown = f"https://{server}:{port}/{path}?{wait}"
        try:
            where = self._endpoint(name, namespace, port)
        except NoEndpoint as error:
            raise WebhookFailed(f'Post "{shown}": {error}') from error
        return Address(f"https://{where}/{path}?{wait}", shown, server)

    def _endpoint(self, name: str, namespace: str, port: int) -> str:
        """Where to dial. Raises NoEndpoint."""
        service = self._reader.get(core_v1.Service, name, namespace)
        if service is not None and service.spec.type == "ExternalName":
            return f"{service.spec.externalName}:{port}"
        return endpoint(self._reader, self._ids, namespace, name, port)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


@lru_cache(maxsize=256)
def _trust(bundle: str, certificate: str, key: str) -> ssl.SSLContext:
    """Only the bundle's authorities, or the system's where there is none; shown is the certificate. Raises WebhookFailed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if bundle else ssl.create_default_context()
    try:
        if bundle:
            context.load_verify_locations(cadata=base64.b64decode(bundle).decode())
    except (ValueError, ssl.SSLError) as error:
        raise WebhookFailed(f"unable to load root certificates: {error}") from error
    if certificate:
        with tempfile.NamedTemporaryFile("w") as file:  # ssl reads certificates from files only; 0600
            file.write(f"{certificate}\n{key}")
            file.flush()
            context.load_cert_chain(file.name)
    return context
