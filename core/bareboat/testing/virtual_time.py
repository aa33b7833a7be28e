"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready.

Every ``asyncio.sleep``, timeout and ``call_later`` is virtual on it; a test that waits an hour takes milliseconds. Real
I/O works too: while a file descriptor or a thread may still answer, the loop waits for it in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: How long the loop waits, in real seconds, for a thread or socket before it lets time jump.
PATIENCE = 0.05


class _Selector(selectors.SelectSelector):
    """Turns a wait into a jump, unless something outside may answer first."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if ready or timeout <= 0:
            return ready
        if self.loop.threads_at_work or len(self.get_map()) > 1:
            ready = super().select(PATIENCE)
            if ready or self.loop.threads_at_work:
                return ready
        self.loop.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0; ``threads_at_work`` counts executor jobs, during which time does not jump."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self._now = 0.0
        self.threads_at_work = 0
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        self.threads_at_work += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
