"""What the log does on its own: remove expired keys, and compact history in small steps."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from typing import TYPE_CHECKING

from bareboat.base.clock import Clock
from bareboat.contracts.errors import DriverError
from bareboat.store.errors import CompareFailed, StoreFailed

if TYPE_CHECKING:
    from bareboat.store.log import Log

log = logging.getLogger("bareboat.store")

#: History that is always kept: this long, and this many revisions.
KEEP_SECONDS = 300.0
KEEP_REVISIONS = 10_000
#: Seconds between two looks, rows per compaction step, keys expired per look.
INTERVAL = 10.0
STEP = 100
EXPIRE_AT_ONCE = 500


class Housekeeping:
    """Runs beside the log, on its loop; every write it makes goes through the log like any other."""

    def __init__(self, owner: Log, clock: Clock) -> None:
        self._log = owner
        self._clock = clock
        self._expiring: list[tuple[float, str]] = []
        self._heads: deque[tuple[float, int]] = deque()

    def note(self, key: str, expires_at: float) -> None:
        if expires_at:
            heapq.heappush(self._expiring, (expires_at, key))

    async def run(self) -> None:
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                if self._log.fault:
                    await self._log.probe()
                await self.expire()
                await self.compact()
            except DriverError as error:
                log.warning("housekeeping: %s", error)

    async def expire(self) -> None:
        """Delete keys whose time has come, unless they were written again with a later one."""
        now = self._clock.now().timestamp()
        for _ in range(EXPIRE_AT_ONCE):
            if not self._expiring or self._expiring[0][0] > now:
                return
            _, key = heapq.heappop(self._expiring)
            entry = self._log.newest(key)
            if entry is None or not entry.expires_at or entry.expires_at > now:
                continue
            try:
                await self._log.write(key, None, expect=entry.revision)
            except (CompareFailed, StoreFailed) as error:
                log.info("%s not expired now: %s", key, error)
                self.note(key, entry.expires_at)
                return

    async def compact(self) -> None:
        """Forget history older than KEEP_SECONDS and KEEP_REVISIONS, a step at a time; lists begun before KEEP_SECONDS cannot go on."""
        now = self._clock.monotonic()
        self._heads.append((now, self._log.head))
        old = 0
        while self._heads and self._heads[0][0] <= now - KEEP_SECONDS:
            old = self._heads.popleft()[1]
        if old:
            self._heads.appendleft((now - KEEP_SECONDS, old))
            self._log.aged = old
        target = min(old, self._log.head - KEEP_REVISIONS)
        while self._log.compacted < target:
            await self._log.compact(target, STEP)
            await self._clock.sleep(0.01)
