"""Work inside a network namespace: on a thread of its own that enters it, runs an event loop there, and is thrown away.

pyroute2 could enter a namespace by itself, but it forks a child for that and ends it with SIGTERM; the child still shares the
event loop's signal pipe, so that the agent would take the signal for its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bareboat.contracts.errors import NotFound, Unavailable

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


async def inside(netns: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of ``work()`` in the namespace at path ``netns``. Raises NotFound if it is gone."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # T may be None itself

    def run() -> None:
        result, failure = None, None
        try:
            _enter(netns)
            result = asyncio.run(work())
        except BaseException as error:  # noqa: BLE001  handed to the waiter
            failure = error
        loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="netns", daemon=True).start()
    return await future


def _enter(netns: str) -> None:
    try:
        descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"network namespace {netns} is gone") from error
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            code = ctypes.get_errno()
            raise Unavailable(f"network namespace {netns} cannot be entered: {os.strerror(code)}", reason="NamespaceFailed")
    finally:
        os.close(descriptor)
