"""What the kernel lends a driver (contracts.driver.Host): directories, clock, log, and a bounded pool for blocking calls."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from bareboat.base.clock import Clock

P = ParamSpec("P")
T = TypeVar("T")

#: Threads for one driver's blocking calls; they are started when needed.
POOL_SIZE = 8


class DriverHost:
    """One per driver; ``close`` waits for no blocking call."""

    def __init__(self, *, name: str, node_name: str, instance: str, state_dir: Path, clock: Clock) -> None:
        self.node_name = node_name
        self.instance = instance
        self.clock = clock
        self.log = logging.getLogger(f"bareboat.driver.{name}")
        self.state_dir = _private(state_dir / "state")
        self.runtime_dir = _private(Path("/run/bareboat") / instance / name if _writable_run() else state_dir / "run")
        self._pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix=f"driver-{name}")

    async def blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _writable_run() -> bool:
    import os

    return os.geteuid() == 0
