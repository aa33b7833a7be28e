"""For drivers whose calls block: one call per volume, bucket or name at a time, as the contracts ask for.

What comes in: a key and a blocking call. What goes out: its result, or InProgress while another call on the key runs, also when the caller
of that one has given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from bareboat.contracts.driver import Host
from bareboat.contracts.errors import InProgress

P = ParamSpec("P")
T = TypeVar("T")


class OneAtATime:
    """``host`` lends the pool on which the calls run."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._busy: set[str] = set()

    async def run(self, key: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises InProgress."""
        if key in self._busy:
            raise InProgress(f"another call on {key} is running")
        self._busy.add(key)
        work = asyncio.ensure_future(self._host.blocking(call, *args, **kwargs))

        def ended(done: asyncio.Future[T]) -> None:
            self._busy.discard(key)
            if not done.cancelled():
                done.exception()  # seen, also when nobody waits for it any more

        work.add_done_callback(ended)
        return await asyncio.shield(work)
