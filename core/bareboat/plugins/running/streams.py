"""What a driver hands out and goes on working on its own thread: streams of commands, and lists that never end.

In: an object or an async iterator of the driver's loop. Out: the same for the caller's loop, every step of it taken on the driver's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Carry = Callable[[Callable[[], Any]], Awaitable[Any]]
_STREAMS = ("write_stdin", "close_stdin", "output", "resize", "wait", "close")
_END: Any = object()


def looks_like_streams(value: Any) -> bool:
    """See contracts.cri.Streams."""
    return all(callable(getattr(value, name, None)) for name in _STREAMS)


class RemoteStreams:
    """See contracts.cri.Streams."""

    def __init__(self, inner: Any, carry: Carry) -> None:
        self._inner, self._carry = inner, carry

    async def write_stdin(self, data: bytes) -> None:
        await self._carry(lambda: self._inner.write_stdin(data))

    async def close_stdin(self) -> None:
        await self._carry(self._inner.close_stdin)

    def output(self) -> AsyncIterator[Any]:
        return iterated(self._inner.output(), self._carry)

    async def resize(self, size: Any) -> None:
        await self._carry(lambda: self._inner.resize(size))

    async def wait(self) -> int:
        code: int = await self._carry(self._inner.wait)
        return code

    async def close(self) -> None:
        await self._carry(self._inner.close)


async def iterated(source: Any, carry: Carry) -> AsyncIterator[Any]:
    """One item after the other; the source is closed when the caller has had enough."""

    async def step() -> Any:
        return await anext(source, _END)

    try:
        while (item := await carry(step)) is not _END:
            yield item
    finally:
        if hasattr(source, "aclose"):
            await carry(source.aclose)
