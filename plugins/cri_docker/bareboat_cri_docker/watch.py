"""Who has started or ended: the daemon's events, on a thread of their own, told to subscribers on the event loop.

What comes in: the daemon's stream of events. What goes out: container ids. When the daemon goes away the thread tries again until it is
back, and asks for what has happened since the last it heard; so an id may be told twice. An end is told when the daemon's list shows it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from bareboat_cri_docker import translate
from bareboat_cri_docker.backend import Docker

_AGAIN = 0.5


class Watch:
    """Lives on the driver's event loop, but for the thread that listens."""

    def __init__(self, docker: Docker, filters: dict[str, list[str]], log: logging.Logger) -> None:
        self._docker, self._log = docker, log
        self._filters: dict[str, Any] = {**filters, "type": ["container"], "event": ["start", "die", "oom"]}
        self._loop = asyncio.get_running_loop()
        self._queues: set[asyncio.Queue[str]] = set()
        self._stop = threading.Event()
        self._stream: Any = None
        self.listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="docker-events", daemon=True)
        self._thread.start()

    async def events(self) -> AsyncIterator[str]:
        with self.subscription() as queue:
            while True:
                yield await queue.get()

    def subscription(self) -> Subscription:
        return Subscription(self._queues)

    def close(self) -> None:
        """Blocks until the thread has noticed; it may be about to open a stream, so once is not enough."""
        self._stop.set()
        while self._thread.is_alive():
            if self._stream is not None:
                self._stream.close()
            self._thread.join(0.05)

    def _listen(self) -> None:
        since = time.time_ns() // 1_000_000_000
        while not self._stop.is_set():
            client = None
            try:
                client = self._docker.client()
                self._stream = client.events(since=since, filters=self._filters, decode=True)
                self.listening.set()
                for event in self._stream:
                    if event.get("Action") == "die":
                        self._settle(str(event["id"]))
                    since = int(event["time"])
                    self._loop.call_soon_threadsafe(self._tell, str(event["id"]))
            except Exception as error:  # noqa: BLE001  what breaks off a stream is not of one family, and each means: try again
                if not self._stop.is_set():
                    self._log.debug("the daemon's events broke off: %s", error)
            finally:
                self.listening.clear()
                if client is not None:
                    client.close()
            self._stop.wait(_AGAIN)

    def _settle(self, container_id: str) -> None:
        """The daemon tells that a container ends before its list says so, and holds the container until it does: who inspects it waits."""
        try:
            self._docker.api.inspect_container(container_id)
        except OSError as error:
            if translate.status_of(error) != 404:
                raise

    def _tell(self, container_id: str) -> None:
        for queue in self._queues:
            queue.put_nowait(container_id)


class Subscription:
    """A queue for as long as somebody listens."""

    def __init__(self, queues: set[asyncio.Queue[str]]) -> None:
        self._queues = queues
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    def __enter__(self) -> asyncio.Queue[str]:
        self._queues.add(self._queue)
        return self._queue

    def __exit__(self, *_: object) -> None:
        self._queues.discard(self._queue)
