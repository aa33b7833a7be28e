"""When Python looks for cyclic garbage: it holds everything while it looks, for as long as there are objects to look at.

A server keeps objects by the hundred thousand, and nearly none of its garbage is in cycles. So while it starts nothing is looked for;
afterwards each new object is looked at once, among few others, and then set aside (``gc.freeze``): references still free it,
no collection sees it again. More looks would find no more: what is in use when its lot is set aside is set aside with it, however
often it was looked at before. What has become cyclic garbage after that is found by a look at everything, which takes a tenth of a
second for a hundred thousand Pods: once an hour at most, when the loop has next to nothing to do, and once a day in any case.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bareboat.base.clock import Clock

#: New objects that are looked at together.
NEW: Final = 2000
#: So many looks at the young do not make one at the older.
_NEVER: Final = 2**30
#: Seconds between two looks at everything, where the loop rests and in any case; between two looks at whether it does.
SELDOM, AT_LAST, TICK = 3600.0, 86_400.0, 10.0
#: The part of a processor below which the loop rests.
RESTING: Final = 0.05


class Collecting:
    """Of one process. ``run`` on the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lots = 0
        self._before = gc.get_threshold()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Nothing is looked for inside; what is there afterwards is set aside."""
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
        gc.freeze()
        gc.set_threshold(NEW, _NEVER, _NEVER)
        gc.callbacks.append(self._collected)

    def stop(self) -> None:
        """As it was before."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)

    async def run(self) -> None:
        last = self._clock.monotonic()
        while True:
            busy, began = time.thread_time(), self._clock.monotonic()
            await self._clock.sleep(TICK)
            now = self._clock.monotonic()
            rests = time.thread_time() - busy < RESTING * (now - began)
            if self._lots and now - last > (SELDOM if rests else AT_LAST):
                self.everything()
                last = self._clock.monotonic()

    def everything(self) -> int:
        """How much garbage there was."""
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        self._lots = 0
        return found

    def _collected(self, phase: str, about: dict[str, Any]) -> None:
        if phase == "stop" and about["generation"] == 0:
            gc.freeze()
            self._lots += 1
