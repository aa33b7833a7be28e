"""The process of one isolated driver: ``python -m bareboat.cluster.isolation.child`` with a socket as its standard input.

In: calls. Out: answers, each as soon as its verb ends; several verbs run side by side. It ends with the socket, that is with its agent.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from bareboat.base.clock import SystemClock
from bareboat.base.tasks import Tasks
from bareboat.cluster.driver_host import DriverHost
from bareboat.cluster.isolation.wire import Answer, Call, Shape, failure, frame, read


class Start(msgspec.Struct, kw_only=True):
    """What a driver is made of."""

    target: str
    options: dict[str, Any]
    name: str
    node: str
    instance: str
    state: str


async def serve() -> None:
    link = socket.socket(fileno=sys.stdin.fileno())
    link.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=link)
    start = await read(reader, Start)
    module, _, attribute = start.target.partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    host = DriverHost(name=start.name, node_name=start.node, instance=start.instance, state_dir=Path(start.state), clock=SystemClock())
    driver = cls(msgspec.convert(start.options, cls.Options), host)
    async with Tasks() as tasks:
        try:
            while True:
                call = await read(reader, Call)
                tasks.spawn(_answer(driver, call, writer), name=call.verb)
        except (asyncio.IncompleteReadError, ConnectionError):
            await driver.close()


async def _answer(driver: Any, call: Call, writer: asyncio.StreamWriter) -> None:
    try:
        shape = Shape(getattr(type(driver), call.verb))
        found = await getattr(driver, call.verb)(*shape.unpack(call.arguments))
        answer = Answer(call.number, msgspec.msgpack.encode(found))
    except Exception as error:  # noqa: BLE001  the agent's side says it, with the plugin's name
        answer = failure(call.number, error)
    writer.write(frame(answer))
    await writer.drain()


if __name__ == "__main__":
    asyncio.run(serve())
