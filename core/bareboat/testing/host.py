"""What the kernel lends a driver, over a temporary directory: for conformance suites and unit tests of drivers.

What comes in: a directory and, if need be, a clock. What goes out: a ``contracts.driver.Host``. A second FakeHost over the same
directory is what a restarted agent sees. Not here: the agent's own host, which bounds its pool and empties ``runtime_dir`` at boot.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from bareboat.base.clock import SystemClock
from bareboat.contracts.driver import DriverClock

P = ParamSpec("P")
T = TypeVar("T")


class FakeHost:
    """A ``Host`` whose instance is derived from its directory, so that tests side by side do not touch each other."""

    def __init__(
        self,
        directory: Path,
        *,
        instance: str = "",
        node_name: str = "node-1",
        clock: DriverClock | None = None,
        threads: bool = True,
    ) -> None:
        """``threads`` False runs blocking calls inline: what a loop with virtual time needs."""
        self.node_name = node_name
        self.instance = instance or "t" + hashlib.sha256(str(directory).encode()).hexdigest()[:7]
        self.state_dir = directory / "state"
        self.runtime_dir = directory / "run"
        self.clock: DriverClock = clock or SystemClock()
        self.log = logging.getLogger(f"bareboat.testing.host.{self.instance}")
        self._threads = threads
        for path in (self.state_dir, self.runtime_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._threads:
            return call(*args, **kwargs)
        return await asyncio.to_thread(call, *args, **kwargs)
