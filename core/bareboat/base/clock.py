"""Time as an argument: what the wall clock says, how much has passed, and waiting.

Virtual time comes from the event loop: a loop whose ``time()`` jumps when nothing is ready makes every sleep, timeout and
timer virtual, and ``LoopClock`` derives the wall clock from it. So production code may use asyncio's own timers freely.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """``now`` is aware UTC; ``seconds`` the same since the epoch; ``timestamp`` RFC3339 in seconds, ``micro`` with six decimals;
    ``monotonic`` in seconds."""

    def now(self) -> datetime: ...

    def seconds(self) -> float: ...

    def timestamp(self) -> str: ...

    def micro(self) -> str: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


def rfc3339(moment: datetime) -> str:
    """``2026-01-02T03:04:05Z``."""
    return moment.isoformat(timespec="seconds")[:19] + "Z"


def rfc3339_micro(moment: datetime) -> str:
    """``2026-01-02T03:04:05.123456Z``."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


class SystemClock:
    """The machine's clock."""

    _second, _text = 0, ""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def seconds(self) -> float:
        return time.time()  # noqa: TID251  as above, without a calendar

    def timestamp(self) -> str:
        """Written once a second: every write needs it several times."""
        second = int(time.time())  # noqa: TID251  the one place
        if second != self._second:
            self._second, self._text = second, rfc3339(datetime.fromtimestamp(second, UTC))
        return self._text

    def micro(self) -> str:
        return rfc3339_micro(self.now())

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopClock:
    """Follows the running loop's time from ``start`` on: virtual when the loop is."""

    def __init__(self, start: datetime | None = None, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._loop = loop
        self._zero: float | None = loop.time() if loop else None

    def monotonic(self) -> float:
        loop = self._loop or asyncio.get_running_loop()
        if self._zero is None:
            self._zero = loop.time()
        return loop.time()

    def now(self) -> datetime:
        passed = self.monotonic() - (self._zero or 0.0)
        return self._start + timedelta(seconds=passed)

    def seconds(self) -> float:
        return self.now().timestamp()

    def timestamp(self) -> str:
        return rfc3339(self.now())

    def micro(self) -> str:
        return rfc3339_micro(self.now())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
