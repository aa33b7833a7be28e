"""Background tasks with an owner: nothing outlives its scope, and no crash goes unseen.

``async with Tasks() as tasks`` cancels everything it spawned when the block ends. ``supervise`` keeps a service running:
it logs a crash and starts it again after a back-off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock

log = logging.getLogger("bareboat.tasks")


class Tasks:
    """A scope for background tasks. Unlike a TaskGroup, a crash of one is logged and leaves the others running."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.cancel()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work, name=name or None)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel(self) -> None:
        """Cancel all and wait until they have ended."""
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task %s crashed", task.get_name(), exc_info=task.exception())


async def supervise(name: str, service: Callable[[], Awaitable[None]], clock: Clock, backoff: Backoff) -> None:
    """Run ``service`` until it returns or this is cancelled; after a crash, again. A run of five minutes resets the back-off."""
    while True:
        started = clock.monotonic()
        try:
            await service()
        except Exception:
            log.exception("%s crashed", name)
        else:
            return
        if clock.monotonic() - started > 300:
            backoff.reset(name)
        await clock.sleep(backoff.next(name))
