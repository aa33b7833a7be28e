"""The store's own thread: calls go in and are made one after the other, their results come back to the event loop that asked.

What ``concurrent.futures`` does with locks, conditions and two futures for each call is done here with one queue and one future.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

log = logging.getLogger("bareboat.store")
T = TypeVar("T")
Call = Callable[[], Any]
Asked = tuple[Call, asyncio.AbstractEventLoop | None, "asyncio.Future[Any] | None"]


class Worker:
    """Begins its thread with the first call. A call that nobody waits for any more is made all the same."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: SimpleQueue[Asked | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result, or what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put((call, loop, future))
        return await future

    def behind(self, call: Callable[[], None]) -> None:
        """After what was asked before, and before what is asked next. It must not raise."""
        self._put((call, None, None))

    def close(self) -> None:
        """Wait for what was asked. Nothing can be asked afterwards."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, asked: Asked) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._asked.put(asked)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            call, loop, future = asked
            result: Any = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001  whatever it is, it is for the one who waits
                error = raised
            if loop is None or future is None:
                if error is not None:
                    log.error("%s: %r", self._name, error, exc_info=error)
            else:
                with suppress(RuntimeError):  # the loop was closed, and with it whoever waited
                    loop.call_soon_threadsafe(_settle, future, result, error)
            del asked, call, loop, future, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # whoever waited was cancelled
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
