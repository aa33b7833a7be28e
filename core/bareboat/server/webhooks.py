"""Calls out to webhooks: over TLS, to a URL or to a Service's ready endpoints, trusting what the configuration's caBundle trusts.

Endpoints are dialed themselves: the server is no client of the cluster's Services. The certificate must be that of the Service's
name (``NAME.NAMESPACE.svc``).
"""

from __future__ import annotations

import base64
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bareboat.base.ids import Ids
from bareboat.contracts.auth import Reader
from bareboat.server.endpoints import NoEndpoint, endpoint

if TYPE_CHECKING:
    import aiohttp

#: Seconds that a conversion may take.
TIMEOUT = 30.0
#: Bytes of an answer at most.
LIMIT = 64 * 1024 * 1024


class Webhooks:
    """Of one server."""

    def __init__(self, reader: Reader, ids: Ids) -> None:
        self._reader = reader
        self._ids = ids
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, client: dict[str, Any], review: bytes) -> bytes:
        """The answer to a review. ``client`` is a clientConfig. Raises OSError or ValueError with what went wrong."""
        import aiohttp

        url, name = self._target(client)
        shown = client.get("url") or f"https://{name}:{(client.get('service') or {}).get('port', 443)}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False)
        try:
            async with self._session.post(
                url,
                data=review,
                headers={"content-type": "application/json", "accept": "application/json"},
                ssl=_context(client.get("caBundle") or ""),
                server_hostname=name or None,
                allow_redirects=False,
            ) as answer:
                body = await answer.content.read(LIMIT)
                if answer.status != 200:
                    raise ValueError(f'Post "{shown}": the server responded with the status code {answer.status}')
                return body
        except aiohttp.ClientError as error:
            raise OSError(f'Post "{shown}": {error}') from error
        except TimeoutError as error:
            raise OSError(f'Post "{shown}": context deadline exceeded') from error

    def _target(self, client: dict[str, Any]) -> tuple[str, str]:
        """Where to dial, and the name in the certificate where that is another."""
        if client.get("url"):
            return client["url"], ""
        service = client.get("service") or {}
        name, namespace, port = service.get("name", ""), service.get("namespace", ""), service.get("port") or 443
        path = "/" + (service.get("path") or "").lstrip("/")
        try:
            where = endpoint(self._reader, self._ids, namespace, name, str(port))
        except NoEndpoint as error:
            raise OSError(str(error)) from error
        return f"https://{where}{path}", f"{name}.{namespace}.svc"


@lru_cache(maxsize=64)
def _context(bundle: str) -> ssl.SSLContext:
    """Trusting the bundle, or what the system trusts. Raises ValueError for a bundle that holds no certificates."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from error
