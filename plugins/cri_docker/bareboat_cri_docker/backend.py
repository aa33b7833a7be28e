"""The Docker daemon as a library: the SDK's client for calls, and raw upgraded connections for streams. Knows nothing of Bareboat.

What comes in: paths and bodies of the Engine API. What goes out: its answers; its failures as the SDK raises them (all of them are
OSErrors). The SDK's sessions are not made for several threads, so every thread has a client of its own. Streams do not go through the
SDK: it hands out the socket from under a buffered reader, and what that has read already is lost.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

_CHUNK = 65536
_LONGEST_HEAD = 65536
_OLDEST = "1.24"  # what the SDK is told until the daemon has been asked


class Docker:
    """One daemon, by its socket."""

    def __init__(self, socket: str, timeout: float) -> None:
        self.socket = socket
        self.timeout = timeout
        self.version = ""
        self._clients = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()

    def negotiate(self) -> str:
        """The version of the API that both sides speak; kept. Raises OSError if the daemon does not answer."""
        client = self.client()
        try:
            self.version = str(client.version(api_version=False)["ApiVersion"])
        finally:
            client.close()
        return self.version

    def client(self) -> Any:
        """A client for whoever wants one to itself, and then closes it."""
        import docker

        from bareboat_cri_docker.transport import Adapter

        client = docker.APIClient(base_url=f"unix://{self.socket}", version=self.version or _OLDEST, timeout=self.timeout)
        client.get_adapter("http+docker://").close()
        client.mount("http+docker://", Adapter(self.socket, self.timeout))
        return client

    @property
    def api(self) -> Any:
        """The calling thread's client."""
        client = getattr(self._clients, "client", None)
        if client is None:
            client = self._clients.client = self.client()
            with self._lock:
                self._all.append(client)
        return client

    def api_ping(self) -> None:
        """Raises OSError if the daemon does not answer."""
        self.api.ping()

    def close(self) -> None:
        with self._lock:
            clients, self._all, self._clients = self._all, [], threading.local()
        for client in clients:
            client.close()

    async def upgrade(self, path: str, body: dict[str, Any] | None = None) -> Connection:
        """POST, and take over the connection. Raises Refused with the daemon's status, or OSError."""
        reader, writer = await asyncio.open_unix_connection(self.socket, limit=_LONGEST_HEAD)
        try:
            content = json.dumps(body).encode() if body is not None else b""
            head = f"POST /v{self.version}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(head.encode() + content)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(answer.split(" ", 2)[1])
            if status not in (101, 200):
                raise Refused(status, await _message(reader, answer))
        except asyncio.IncompleteReadError as error:
            writer.close()
            raise ConnectionError(f"the Docker daemon at {self.socket} closed the connection") from error
        except BaseException:
            writer.close()
            raise
        return Connection(reader, writer)


class Refused(OSError):
    """The daemon's answer to an upgrade was not a stream."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """A connection that has become a byte stream both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        try:
            return await self._reader.read(_CHUNK)
        except ConnectionError:
            return b""

    async def read_frame(self) -> tuple[int, bytes]:
        """One frame of a multiplexed stream: 1 for output, 2 for errors. No bytes at the end."""
        try:
            head = await self._reader.readexactly(8)
            return head[0], await self._reader.readexactly(int.from_bytes(head[4:], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def write_eof(self) -> None:
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


async def _message(reader: asyncio.StreamReader, head: str) -> str:
    """The text of an error, which comes as JSON of a known length, or to the connection's end."""
    lengths = [line.partition(":")[2].strip() for line in head.lower().splitlines() if line.startswith("content-length:")]
    try:
        async with asyncio.timeout(5):
            content = await (reader.readexactly(int(lengths[0])) if lengths else reader.read(_CHUNK))
        return str(json.loads(content)["message"])
    except (TimeoutError, asyncio.IncompleteReadError, ValueError, KeyError):
        return head.splitlines()[0]
