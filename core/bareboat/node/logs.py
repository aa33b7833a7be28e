"""Container logs as clients want them: CRI lines in, text out; tail, since, follow, limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from bareboat.models.times import parse

POLL = 0.1
#: Bytes that are looked at in one go.
CHUNK = 1 << 16


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As PodLogOptions; ``since`` is a moment in UTC."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None
    stream: str = "All"


async def read(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Chunks of text. With ``follow`` until the container has ended and everything is read."""
    sent, partial = 0, b""
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        if options.tail is not None:
            file.seek(_last_lines(file, options.tail))
        while True:
            alive = running()
            chunk = file.read(CHUNK)
            if not chunk:
                if not options.follow or not alive:
                    return
                if _rotated(path, file):
                    file = opened.enter_context(path.open("rb"))
                else:
                    await asyncio.sleep(POLL)
                continue
            *lines, partial = (partial + chunk).split(b"\n")
            text = b"".join(t for line in lines if (t := _text(line + b"\n", options)) is not None)
            if options.limit is not None:
                text = text[: options.limit - sent]
            if text:
                sent += len(text)
                yield text
            if options.limit is not None and sent >= options.limit:
                return
            await asyncio.sleep(0)


def ending(path: Path, *, lines: int, limit: int) -> bytes:
    """The last lines of both streams, and of these at most ``limit`` bytes."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(_last_lines(file, lines))
        return b"".join(_text(line, LogOptions()) or b"" for line in file)[-limit:]


def _last_lines(file: IO[bytes], count: int) -> int:
    """Where the last ``count`` whole lines begin; they are looked for from the end."""
    at, left = file.seek(0, os.SEEK_END), count + 1
    while at:
        size = min(CHUNK, at)
        at = file.seek(at - size)
        block = file.read(size)
        ends = block.count(b"\n")
        if ends >= left:
            place = len(block)
            for _ in range(left):
                place = block.rfind(b"\n", 0, place)
            return at + place + 1
        left -= ends
    return 0


def _rotated(path: Path, file: IO[bytes]) -> bool:
    """Whether the log goes on in another file. The one that was put aside gets nothing more once the new one is there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    known = os.fstat(file.fileno())
    return (found.st_dev, found.st_ino) != (known.st_dev, known.st_ino) and file.tell() == known.st_size


def _text(line: bytes, options: LogOptions) -> bytes | None:
    """One CRI line as text; None if it is not wanted. A partial line has no newline."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return None
    stamp, stream, tag, rest = parts
    if options.stream not in ("", "All") and stream.decode() != options.stream.lower():
        return None
    if options.since is not None and parse(stamp.decode()) < options.since:
        return None
    found = rest if tag == b"F" else rest.rstrip(b"\n")
    return stamp + b" " + found if options.timestamps else found
