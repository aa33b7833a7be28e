"""uvicorn's protocol classes, extended to tell the application who is at the other end of the TLS connection, and to hand it over.

The verified client certificate's subject is put into ``scope["extensions"]["tls"]`` as ``client_cert_name`` and
``client_cert_organizations``; absent without a certificate. A request that asks for another protocol than WebSocket (SPDY) is an
ordinary request whose connection the application may take over with ``scope["extensions"]["hijack"]``. These are uvicorn's
internals: its minor version is pinned.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from bareboat.server.cycle import Cycle


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


#: Bytes after an upgrade request that are kept until somebody takes the connection over.
EARLY = 1 << 20


class PeerHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with the peer's identity in the scope."""

    _early: bytearray | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = {"tls": peer(transport), "hijack": self.hijack, "known": {}}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        """As uvicorn does, for the usual case in fewer steps and with a cycle that can send a response as a whole."""
        running = self.cycle
        parser = self.parser
        if parser.should_upgrade() or parser.get_http_version() != "1.1":
            super().on_headers_complete()
            return
        scope, url = self.scope, httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        cycle = self.cycle = self.cycle_of(scope, keep_alive=parser.should_keep_alive(), expect=self.expect_100_continue)
        if running is None or running.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def cycle_of(self, scope: Any, *, keep_alive: bool, expect: bool = False) -> Cycle:
        return Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expect,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets go of everything that leads back here: what waits for the cycle collector keeps its TLS buffers until then."""
        if isinstance(self.cycle, Cycle) and not self.cycle.response_complete:
            self.cycle.lost()
        super().connection_lost(exc)
        self._extensions = {}
        self.scope = self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._keep(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self.cycle.keep_alive = False
                self._early = bytearray()
                self._keep(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _should_upgrade(self) -> bool:
        """WebSockets end here, but for those that another server answers: they are handed over like any other protocol."""
        path = self.url.partition(b"?")[0]
        return super()._should_upgrade() and not (path.startswith(b"/apis/") or b"/proxy/" in path or path.endswith(b"/proxy"))

    def _keep(self, data: bytes) -> None:
        assert self._early is not None
        self._early += data
        if len(self._early) > EARLY:
            self.flow.pause_reading()

    def hijack(self) -> tuple[asyncio.Transport, bytes]:
        """The connection and what came after the request. Nothing more of it is read here; whoever has it closes it."""
        if self._early is None:
            raise RuntimeError("only an upgrade request's connection can be taken over")
        self.cycle.response_started = self.cycle.response_complete = True
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        return self.transport, bytes(self._early)


class PeerWebSocketProtocol(WSProtocol):
    """WebSocket with the peer's identity in the scope."""

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = {**(self.scope.get("extensions") or {}), "tls": peer(self.transport)}
        self.scope["extensions"] = extensions
        await super().run_asgi()
