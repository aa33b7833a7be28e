"""For drivers whose pods are network namespaces of this machine: connections to a port on a pod's loopback (``PortForward``).

    async def port_forward(self, sandbox_id, port):
        return await connection(lambda: enter(sandbox_id), port)

``enter`` joins the pod's network namespace with the thread that calls it; that thread is thrown away afterwards.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Literal

from bareboat.contracts.cri import Size
from bareboat.contracts.errors import Unavailable

#: Seconds until a port that does not answer is given up.
PATIENCE = 10


async def connection(enter: Callable[[], None], port: int) -> SocketStreams:
    """Raises Unavailable if nothing answers on the port, and whatever ``enter`` raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[socket.socket] = loop.create_future()

    def settle(found: socket.socket | None, error: Exception | None) -> None:
        if future.cancelled():
            if found is not None:
                found.close()
        elif error is not None:
            future.set_exception(error)
        elif found is not None:
            future.set_result(found)

    def work() -> None:
        try:
            enter()
            outcome: tuple[socket.socket | None, Exception | None] = (_connected(port), None)
        except Exception as error:  # noqa: BLE001  it is raised where the connection is awaited
            outcome = (None, error)
        loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name="pod-connection", daemon=True).start()
    return SocketStreams(await future)


def _connected(port: int) -> socket.socket:
    problem = OSError()
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            found = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # no IPv6 on this machine
            continue
        try:
            found.settimeout(PATIENCE)
            found.connect((address, port))
        except OSError as error:
            found.close()
            problem = error if family == socket.AF_INET else problem
        else:
            return found
    raise Unavailable(f"nothing answers on port {port} of the pod: {problem}", reason="PortForwardFailed") from problem


class SocketStreams:
    """A connected socket as the contract's ``Streams``."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._ended = asyncio.Event()

    async def write_stdin(self, data: bytes) -> None:
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def close_stdin(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def resize(self, size: Size) -> None:
        """A connection has no size."""

    async def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]:
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._socket, 65536):
                yield "stdout", data
        except OSError:
            return
        finally:
            self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    async def close(self) -> None:
        self._ended.set()
        self._socket.close()
