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
from bareboat.models import core_v1, discovery_v1

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
        return f"https://{self._endpoint(name, namespace, port)}{path}", f"{name}.{namespace}.svc"

    def _endpoint(self, name: str, namespace: str, port: int) -> str:
        """One ready endpoint of a Service. Raises OSError if there is none."""
        service = self._reader.get(core_v1.Service, name, namespace)
        if service is None:
            raise OSError(f'service "{name}" not found')
        wanted = next((p for p in service.spec.ports if p.port == port), None)
        if wanted is None:
            raise OSError(f'no service port {port} found for service "{name}"')
        ready = [
            (endpoint.addresses[0], p.port)
            for piece in self._reader.list(discovery_v1.EndpointSlice, namespace)
            if piece.metadata.labels.get("kubernetes.io/service-name") == name
            for p in piece.ports
            if (p.name or "") == (wanted.name or "")
            for endpoint in piece.endpoints
            if endpoint.conditions.ready is not False and endpoint.addresses
        ]
        if not ready:
            raise OSError(f'no endpoints available for service "{name}"')
        address, number = ready[int(self._ids.fraction() * len(ready))]
        return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


@lru_cache(maxsize=64)
def _context(bundle: str) -> ssl.SSLContext:
    """Trusting the bundle, or what the system trusts. Raises ValueError for a bundle that holds no certificates."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from error
