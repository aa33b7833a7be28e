"""Long work that is given up when there is no more use for it: a pull for a pod that is being deleted.

What comes in: the work, an event that says that something changed, and a question. What goes out: the work's result, or Interrupted. The
event is left set if it was, so that whoever else waits for it looks too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """There is no more use for it."""


async def unless(over: Callable[[], bool], changed: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; it is cancelled as soon as ``changed`` is set and ``over`` says yes."""
    working = asyncio.ensure_future(work)
    woken = False
    try:
        while not working.done():
            waking = asyncio.ensure_future(changed.wait())
            await asyncio.wait((working, waking), return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
            if changed.is_set():
                woken = True
                changed.clear()
                if over() and not working.done():
                    raise Interrupted
        return working.result()
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
        if woken:
            changed.set()


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is never left half done: who is cancelled meanwhile goes when it has ended."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        if not working.cancelled():
            working.exception()
        raise
