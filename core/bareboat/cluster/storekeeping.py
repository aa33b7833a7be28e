"""``bareboat store`` reaches the store: through a socket of the server that runs, else by opening the store itself.

DATA/server/store.sock, mode 0600 in a directory of mode 0700: whoever may open it owns the data anyhow. One request per
connection: a line {"verb":…,…} → lines {"progress":[done,all]}, {"bytes":N} and N bytes, at last {"result":…} or {"error":…}.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bareboat.api.custom.rows import Heads
from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.base.tasks import Tasks
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.layout import Layout
from bareboat.cluster.storage import owner, prepare
from bareboat.contracts.errors import DriverError
from bareboat.contracts.store import Compacted
from bareboat.models.scheme import Scheme
from bareboat.plugins.loader import LoadedDriver
from bareboat.store.errors import StoreFailed
from bareboat.store.log import Log
from bareboat.store.maintenance import Maintenance
from bareboat.store.shared import log_over
from bareboat.store.verifying import Progress

Sink = Callable[[bytes], Awaitable[None]]


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``file``: with ``verify``, the back end's own check as well."""

    verb: str
    key: str = ""
    revision: int = 0
    file: bool = False


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    progress: tuple[int, int] | None = None
    bytes: int = 0
    result: Any = None
    error: str = ""


class StoreRefused(DriverError):
    """What the server answered instead of a result."""

    terminal = True


async def answer(maintenance: Maintenance, request: Request, progress: Progress, sink: Sink) -> Any:
    """One request against the log; raises DriverError and Compacted."""
    match request.verb:
        case "backup":
            return await maintenance.backup(sink, progress)
        case "stats":
            return await maintenance.stats()
        case "get":
            revision, data = await maintenance.get(request.key, request.revision)
            return {"revision": revision, "object": msgspec.Raw(data)}
        case "compact":
            return await maintenance.compact(request.revision, progress)
        case "verify":
            return await maintenance.verify(progress, file=request.file)
        case "reencrypt":
            return await maintenance.reencrypt(progress)
    raise StoreRefused(f"unknown verb {request.verb!r}")


class StoreSocket:
    """The server's side."""

    def __init__(self, layout: Layout, maintenance: Maintenance) -> None:
        self._directory = layout.server
        self._maintenance = maintenance
        self._server: asyncio.Server | None = None
        self._tasks = Tasks()

    async def start(self) -> None:
        path = self._directory / "store.sock"
        path.unlink(missing_ok=True)
        with _short(path) as short:
            self._server = await asyncio.start_unix_server(self._serve, short)
        path.chmod(0o600)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            (self._directory / "store.sock").unlink(missing_ok=True)
        await self._tasks.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._tasks.spawn(self._answer(reader, writer), name="store socket")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(reply: Reply) -> None:
            writer.write(msgspec.json.encode(reply) + b"\n")

        async def sink(data: bytes) -> None:
            say(Reply(bytes=len(data)))
            writer.write(data)
            await writer.drain()

        try:
            request = msgspec.json.decode(await reader.readline(), type=Request)
            result = await answer(self._maintenance, request, lambda done, of: say(Reply(progress=(done, of))), sink)
            say(Reply(result=result))
            await writer.drain()
        except (DriverError, Compacted, StoreFailed, msgspec.DecodeError, ValueError) as error:  # ValueError: a line without end
            say(Reply(error=str(error)))
        except ConnectionError:
            return  # whoever asked is gone
        finally:
            writer.close()


class Running:
    """The command's side of a server that runs."""

    live = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: Request, progress: Progress, sink: Sink) -> Any:
        self._writer.write(msgspec.json.encode(request) + b"\n")
        while line := await self._reader.readline():
            reply = msgspec.json.decode(line, type=Reply)
            if reply.error:
                raise StoreRefused(reply.error)
            if reply.progress:
                progress(*reply.progress)
            elif reply.bytes:
                await sink(await self._reader.readexactly(reply.bytes))
            else:
                return reply.result
        raise StoreRefused("the server went away before it had answered")


class Opened:
    """The same on a store that no server has."""

    live = False

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance

    async def ask(self, request: Request, progress: Progress, sink: Sink) -> Any:
        return msgspec.json.decode(msgspec.json.encode(await answer(self._maintenance, request, progress, sink)))


@asynccontextmanager
async def reached(cluster: ClusterFile, layout: Layout, driver: Callable[[], LoadedDriver]) -> AsyncIterator[Running | Opened]:
    """The running server's store if one answers, else the store itself. Raises DriverError, ClusterError."""
    path = layout.data_dir / "server" / "store.sock"
    try:
        with _short(path) as short:
            reader, writer = await asyncio.open_unix_connection(short, limit=1 << 26)
    except OSError:
        async with opened(cluster, layout, driver()) as (_, maintenance):
            yield Opened(maintenance)
        return
    try:
        yield Running(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def opened(cluster: ClusterFile, layout: Layout, driver: LoadedDriver) -> AsyncIterator[tuple[Log, Maintenance]]:
    """The store, opened here. Raises DriverError (in use, damaged, …)."""
    clock, scheme = SystemClock(), Scheme.builtin()
    whose = owner(cluster, layout, SystemIds())
    store, host = prepare(cluster, layout, driver, clock)
    log = log_over(store, clock, Heads(scheme))
    try:
        await log.start()
        yield log, Maintenance(log, scheme, clock, cluster=whose.name, instance=whose.id)
    finally:
        await log.stop()
        host.close()


class _short:
    """A name for ``path`` that fits into a socket address however long the path is: through its directory's descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._descriptor}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
