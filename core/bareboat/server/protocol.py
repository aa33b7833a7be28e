"""uvicorn's protocol classes, extended to tell the application who is at the other end of the TLS connection.

The verified client certificate's subject is put into ``scope["extensions"]["tls"]`` as ``client_cert_name`` and
``client_cert_organizations``; absent without a certificate. These are uvicorn's internals: its minor version is pinned.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol


def peer(transport: asyncio.BaseTransport | None) -> dict[str, Any]:
    """Common name and organizations of the verified client certificate; empty if there is none."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport is not None else None
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return {}
    subject: list[tuple[str, str]] = [pair for part in certificate.get("subject", ()) for pair in part]  # type: ignore[misc]
    names = [value for key, value in subject if key == "commonName"]
    organizations = tuple(value for key, value in subject if key == "organizationName")
    return {"client_cert_name": names[0] if names else "", "client_cert_organizations": organizations}


class PeerHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the peer's identity in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = {"tls": peer(transport)}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]


class PeerWebSocketProtocol(WSProtocol):
    """WebSocket with the peer's identity in the scope."""

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = {**(self.scope.get("extensions") or {}), "tls": peer(self.transport)}
        self.scope["extensions"] = extensions
        await super().run_asgi()
