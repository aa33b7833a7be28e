"""Who has ended: the kernel tells through one pidfd per monitor, and subscribers hear the container's id.

What comes in: pidfds of monitors. What goes out: ids on the queues of subscribers. A monitor ends after it has recorded its container's
end, so whoever is told finds the exit code. Nothing is kept for a subscriber that was not there: the node lists when it begins.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator


class Watch:
    """Lives on the driver's event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[str, int] = {}
        self._queues: set[asyncio.Queue[str]] = set()

    def add(self, container_id: str, pidfd: int) -> None:
        if container_id in self._watched or pidfd < 0:
            if pidfd >= 0:
                os.close(pidfd)
            return
        self._watched[container_id] = pidfd
        self._loop.add_reader(pidfd, self._ended, container_id)

    def tell(self, container_id: str) -> None:
        for queue in self._queues:
            queue.put_nowait(container_id)

    def close(self) -> None:
        for container_id in list(self._watched):
            self._drop(container_id)

    async def events(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    def _ended(self, container_id: str) -> None:
        self._drop(container_id)
        self.tell(container_id)

    def _drop(self, container_id: str) -> None:
        pidfd = self._watched.pop(container_id)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)


async def readable(fd: int, seconds: float) -> bool:
    """Whether ``fd`` becomes readable (a pidfd: whether its process ends) within the time."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True
