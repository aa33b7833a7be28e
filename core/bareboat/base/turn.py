"""Something that comes round again and again, and whoever waits for it to come next. One event loop."""

from __future__ import annotations

import asyncio


class Turn:
    """``over`` ends one, and lets go of all that wait for it."""

    def __init__(self) -> None:
        self._ending: asyncio.Future[None] | None = None

    async def next(self) -> None:
        """Until the one that is under way, or begins next, is over."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._ending)

    def over(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.set_result(None)
