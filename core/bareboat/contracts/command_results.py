"""For drivers that have ``exec``: a command run to its end, as ``exec_sync`` gives it."""

from __future__ import annotations

import asyncio

from bareboat.contracts.cri import Streams

#: Bytes of each stream that are kept.
CAP = 16 << 20


async def finished(streams: Streams, timeout: float) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr; ``timeout`` in seconds, 0 for none. TimeoutError kills the command, by closing its streams."""
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    try:
        async with asyncio.timeout(timeout if timeout > 0 else None):
            async for stream, data in streams.output():
                kept[stream] += data[: CAP - len(kept[stream])]
            code = await streams.wait()
    finally:
        await streams.close()
    return code, bytes(kept["stdout"]), bytes(kept["stderr"])
