"""The agent's end of an isolated driver: the same contract; every verb is a call to the other process.

In: what the driver is made of. Out: a driver. The process is started when it is opened, and again by the first call after it died, at first
at once and then less and less often. Calls that were under way when it died are Unavailable.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
import sys
import time
from abc import ABCMeta
from typing import Any

from bareboat.base.backoff import Backoff
from bareboat.cluster.isolation.child import Start
from bareboat.cluster.isolation.wire import Answer, Call, Shape, frame, raised, read
from bareboat.contracts.errors import Unavailable
from bareboat.plugins.running.guard import attributes

_CHILD = (sys.executable, "-m", "bareboat.cluster.isolation.child")


def isolated(cls: type[Any], start: Start) -> Any:
    """A driver of ``cls``'s contract whose verbs run elsewhere."""
    bases = [c for c in inspect.getmro(cls) if c.__module__.startswith("bareboat.contracts.")]
    verbs = {n for base in bases for n, v in vars(base).items() if inspect.iscoroutinefunction(v)} - {"open", "close"}
    members: dict[str, Any] = {name: _forwarder(name, Shape(getattr(cls, name))) for name in verbs}
    members |= {name: getattr(cls, name) for name in attributes(cls) if hasattr(cls, name)}
    made = ABCMeta(f"Isolated{cls.__name__}", (Isolated,), members)
    return made(start)


def _forwarder(name: str, shape: Shape) -> Any:
    async def call(self: Isolated, *arguments: Any, **options: Any) -> Any:
        return shape.result(await self.call(name, shape.pack(arguments, options)))

    return call


class Isolated:
    """The process and what is under way in it."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Future[None] | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count()
        self._beginning = asyncio.Lock()
        self._backoff = Backoff(1.0, 60.0)
        self._not_before = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def open(self) -> None:
        await self._connected()

    async def close(self) -> None:
        """Ends the process; what the driver started stays."""
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._listening is not None:
            await asyncio.wait([self._listening])
        self._process = self._writer = self._listening = None
        self._not_before = 0.0
        self._backoff.reset()

    async def call(self, verb: str, arguments: bytes) -> bytes:
        """Raises DriverError, RuntimeError for what is a bug of the driver."""
        return await self._send(await self._connected(), verb, arguments)

    async def _send(self, writer: asyncio.StreamWriter, verb: str, arguments: bytes) -> bytes:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            writer.write(frame(Call(number, verb, arguments)))
            return await self._waiting[number]
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._beginning:
            if self._writer is not None and self._listening is not None and not self._listening.done():
                return self._writer
            if time.monotonic() < self._not_before:
                raise Unavailable("its process has died; it is begun anew in a moment", reason="PluginDied")
            self._not_before = time.monotonic() + self._backoff.next()
            return await self._begin()

    async def _begin(self) -> asyncio.StreamWriter:
        if self._process is not None:
            await self._process.wait()  # of the one that has died
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(*_CHILD, stdin=theirs.fileno())
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(frame(self._start))
        self._writer = writer
        self._listening = asyncio.ensure_future(self._listen(reader, writer))
        await self._send(writer, "open", Shape(Isolated.open).pack((), {}))
        return writer

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                answer = await read(reader, Answer)
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    if answer.error:
                        waiting.set_exception(raised(answer))
                    else:
                        waiting.set_result(answer.result)
        except (asyncio.IncompleteReadError, ConnectionError):
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Unavailable("its process has died", reason="PluginDied"))
        finally:
            writer.close()
