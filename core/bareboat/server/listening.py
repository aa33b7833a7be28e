"""A TLS listener for an ASGI application: started and stopped by its owner, several in one process, any free port if asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import uvicorn

from bareboat.server.immediate import Immediate
from bareboat.server.limits import Limits, sweep
from bareboat.server.protocol import PeerWebSocketProtocol
from bareboat.server.repeats import RepeatingHttpProtocol

#: Seconds that requests in flight get when the listener stops.
STOP_SECONDS = 5


class Listener:
    """``client_ca`` verifies client certificates, which stay optional: a token will do as well. ``reload`` when the files change.

    ``immediate`` is asked before the application for what it can answer at once.
    """

    def __init__(
        self,
        app: Any,
        *,
        certificate: Path,
        key: Path,
        client_ca: Path,
        limits: Limits | None = None,
        immediate: Immediate | None = None,
    ) -> None:
        self._limits = limits or Limits()
        guarded = {"limits": self._limits, "most": self._limits.most(), "immediate": immediate}
        self._config = uvicorn.Config(
            app,
            http=type("Protocol", (RepeatingHttpProtocol,), guarded),
            ws=PeerWebSocketProtocol,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ssl_ca_certs=str(client_ca),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,
            ws_max_size=32 * 1024 * 1024,
            ws_ping_interval=None,
        )
        self._files = certificate, key, client_ca
        self._tls: ssl.SSLContext | None = None
        self._server = uvicorn.Server(self._config)
        self._task: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that it is. Raises OSError when the port is taken."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError:
            bound.close()
            raise
        bound.listen(2048)
        self.reload()
        self.port = int(bound.getsockname()[1])
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._server._serve([bound]), name="listener")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the listener ended before it was ready")
            await asyncio.sleep(0.005)
        self._sweeper = loop.create_task(sweep(self._server.server_state.connections, self._limits.head_seconds), name="sweeper")
        return self.port

    def reload(self) -> None:
        """Read certificate, key and CA again; connections that are open stay. Raises OSError and keeps what it had."""
        certificate, key, client_ca = self._files
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        fresh.load_cert_chain(certificate, key)
        fresh.load_verify_locations(client_ca)
        fresh.verify_mode = ssl.CERT_OPTIONAL
        self._tls = fresh
        if not self._config.loaded:
            self._config.load()
            assert self._config.ssl is not None
            self._config.ssl.sni_callback = self._newest

    def _newest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called for each handshake, with or without a server name."""
        assert self._tls is not None
        connection.context = self._tls

    def close(self) -> None:
        """Take no more connections, and no more requests on those that there are."""
        self._server.should_exit = True

    async def stop(self, grace: float = STOP_SECONDS + 1) -> None:
        """Stop accepting, let requests finish for ``grace`` seconds, close what remains. Twice is fine."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._task is not None:
            self._server.should_exit = True
            _, unfinished = await asyncio.wait([self._task], timeout=grace)
            for connection in list(self._server.server_state.connections) if unfinished else ():
                connection.transport.abort()  # its peer does not answer our good-bye
            await asyncio.wait([self._task], timeout=1)
            self._task = None
