"""Logs that do not grow for ever: a container's log that is too long is put aside, and its runtime told to go on in a new file.

What comes in: the containers of a runtime. What goes out: ``0.log``, ``0.log.20260102-030405`` (the newest that was put aside) and older
ones as ``….gz``; what is more than allowed is deleted. Readers see what is in the current file, as upstream's do.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import shutil
from pathlib import Path

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError

log = logging.getLogger("bareboat.node")
#: Upstream's defaults: containerLogMaxSize, containerLogMaxFiles (with the current one), containerLogMonitorInterval in seconds.
MAX_BYTES, MAX_FILES, LOOK_EVERY = 10 << 20, 5, 10.0


class LogRotation:
    """Of one node; does nothing where the runtime cannot reopen logs."""

    def __init__(self, runtime: cri.RuntimeDriver, clock: Clock, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
        self._runtime = runtime
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_files = max(2, max_files)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            try:
                await self.look()
            except DriverError as error:
                log.warning("container logs not looked at: %s", error)

    async def look(self) -> None:
        """Once over all containers that run."""
        if not isinstance(self._runtime, cri.LogReopening):
            return
        for container in await self._runtime.list_containers():
            path = Path(container.config.log_path)
            if container.state == "RUNNING" and container.config.log_path and _size(path) > self._max_bytes:
                await self._rotate(self._runtime, container.id, path)

    async def _rotate(self, runtime: cri.LogReopening, container_id: str, path: Path) -> None:
        aside = path.with_name(f"{path.name}.{self._clock.now():%Y%m%d-%H%M%S}")
        if aside.exists():  # twice within a second: next time
            return
        await asyncio.to_thread(tidy, path, self._max_files - 2)
        path.rename(aside)
        try:
            await runtime.reopen_container_log(container_id)
        except DriverError as error:
            if not path.exists():
                aside.rename(path)
            log.warning("the log of container %s is not rotated: %s", container_id, error)


def tidy(path: Path, kept: int) -> None:
    """Compress what was put aside before, and delete all but the newest ``kept`` of it."""
    for rubbish in path.parent.glob(f"{path.name}.*.tmp"):
        rubbish.unlink()
    old = sorted(path.parent.glob(f"{path.name}.*"), reverse=True)
    for number, found in enumerate(old):
        if number >= kept:
            found.unlink()
        elif found.suffix != ".gz":
            _compress(found)


def remove(path: Path) -> None:
    """A log with all that was put aside of it."""
    for found in (path, *path.parent.glob(f"{path.name}.*")):
        found.unlink(missing_ok=True)


def _compress(path: Path) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as source, gzip.open(partial, "wb") as target:
        shutil.copyfileobj(source, target)
    partial.chmod(path.stat().st_mode & 0o777)
    partial.rename(path.with_name(f"{path.name}.gz"))
    path.unlink()


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
