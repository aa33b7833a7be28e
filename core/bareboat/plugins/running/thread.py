"""A thread with an event loop of its own, for one driver: what happens on it stays on it.

In: coroutines, from another loop. Out: their results, or why there is none: the loop is blocked, the work does not end when it is told to,
the thread has died. A blocked thread goes on when it can; a dead one is begun anew.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from bareboat.contracts.errors import Unavailable

T = TypeVar("T")
log = logging.getLogger("bareboat.driver")
#: Seconds without a sign of life after which a loop counts as blocked, between two looks, and that cancelled work gets to end.
BLOCKED, LOOK, GRACE = 10.0, 1.0, 2.0


class DriverThread:
    """``label`` names the plugin in errors and logs."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._died = ""

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Twice is fine."""
        if not self.alive:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.close()  # of a thread that has died
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name=f"driver {self.label}", daemon=True)
            self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        except BaseException as error:  # SystemExit and the like end the thread, never the agent
            self._died = f"{type(error).__name__}: {error}"
            log.exception("the thread of driver %s has died", self.label)

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Raises Unavailable when the thread is blocked or has died, and whatever the work raises."""
        loop = self._loop
        if not self.alive or loop is None:
            raise Unavailable(f"{self.label}: its thread has died ({self._died or 'it was not started'})", reason="PluginDied")
        done: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            task = loop.create_task(work())
            tasks.append(task)
            task.add_done_callback(lambda t: _settle(done, t))

        loop.call_soon_threadsafe(begin)
        waiting = asyncio.wrap_future(done)
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=LOOK if tasks else BLOCKED)
                if not waiting.done():
                    await self._look(bool(tasks))
            return waiting.result()
        except asyncio.CancelledError:
            loop.call_soon_threadsafe(lambda: [t.cancel() for t in tasks])
            await asyncio.wait([waiting], timeout=GRACE)
            if not waiting.done():
                log.warning("%s goes on after it was cancelled; it is left behind", self.label)
            raise
        finally:
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # looked at, so that nobody is told of it later

    async def _look(self, begun: bool) -> None:
        """Raises Unavailable for a thread that is dead or blocked."""
        if not self.alive:
            raise Unavailable(f"{self.label}: its thread has died ({self._died})", reason="PluginDied")
        if not begun or not await self.responds(BLOCKED):
            place = self.stack()
            log.error("driver %s blocks its event loop:\n%s", self.label, place)
            where = " ".join(line.strip() for line in place.strip().splitlines()[-2:]) or "?"
            raise Unavailable(f"{self.label} blocks its event loop: {where}", reason="PluginBlocked")

    async def responds(self, seconds: float) -> bool:
        """Whether the loop gets to a callback in that time."""
        loop = self._loop
        if loop is None or not self.alive:
            return False
        beat: Future[None] = Future()
        loop.call_soon_threadsafe(beat.set_result, None)
        waiting = asyncio.wrap_future(beat)
        await asyncio.wait([waiting], timeout=seconds)
        return waiting.done()

    def stack(self) -> str:
        """Where the thread is now."""
        frame = sys._current_frames().get(self._thread.ident or 0) if self._thread is not None else None
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    async def stop(self) -> list[str]:
        """End it; the names of tasks that the driver left behind. A blocked thread is left alone."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return []
        if not await self.responds(GRACE):
            log.error("driver %s blocks its event loop and is left behind", self.label)
            return []
        left = await self.call(_leftovers)
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, GRACE)
        if not thread.is_alive():
            loop.close()
        self._thread = None
        return left


async def _leftovers() -> list[str]:
    """Cancels them."""
    found = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in found:
        task.cancel()
    if found:
        await asyncio.wait(found, timeout=GRACE)
    return [t.get_name() for t in found]


def _settle(done: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        done.cancel()
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())
