"""What stands between the connection and the API: fairness, deadlines, the streams that are open, audit. One of each per server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bareboat.api.request import ApiResponse
from bareboat.base.clock import Clock
from bareboat.server.audit.auditor import AuditIds, Auditor
from bareboat.server.deadlines import Deadlines
from bareboat.server.fairness.gate import Fairness
from bareboat.server.fairness.report import DUMPS, collect, dump

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Streams:
    """The long answers that are under way: watches, logs, commands. ``close`` ends them when the server stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Left without an exception when the server ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._closing:
                raise
            task.uncancel()
        finally:
            self._tasks.discard(task)

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Edge:
    """Handed to the application as one."""

    fairness: Fairness
    deadlines: Deadlines
    streams: Streams
    clock: Clock
    ids: AuditIds
    auditor: Auditor | None = None

    def metrics(self) -> list[Callable[[], Iterator[Metric]]]:
        """For scrapes."""
        own: list[Callable[[], Iterator[Metric]]] = [lambda: collect(self.fairness)]
        return own if self.auditor is None else [*own, self.auditor.collect]

    def page(self, path: str, query: bytes) -> ApiResponse | None:
        """What ``path`` shows of the edge itself; None: it is no such path."""
        if path not in DUMPS:
            return None
        text = dump(self.fairness, self.clock, path, b"includeRequestDetails=" in query)
        return ApiResponse(200, text.encode(), "text/plain; charset=utf-8")
