"""What the store tells of the past may be very many rows: they are made into entries, and let go of, some at a time."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter

from bareboat.contracts.store import Row
from bareboat.store.entry import Entry

#: Rows before others have their turn.
PORTION = 500
_key = attrgetter("key")


async def entries(
    rows: list[Row], entry_of: Callable[[Row], Entry], start_after: str = "", limit: int = sys.maxsize
) -> tuple[list[Entry], int]:
    """Of ``rows``, which are in key order and gone afterwards, ``limit`` after a key, and how many more there are."""
    first = bisect_right(rows, start_after, key=_key)
    end = min(len(rows), first + limit)
    more = len(rows) - end
    found: list[Entry] = []
    while rows:
        row = rows.pop()
        if first <= len(rows) < end:
            found.append(entry_of(row))
        if len(rows) % PORTION == 0:
            await asyncio.sleep(0)
    found.reverse()
    return found, more
