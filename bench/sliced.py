"""The ``bareboat`` command on a loop that notes every callback that holds it too long, with what it was doing meanwhile.

    BENCH_SLICES=F.json python bench/sliced.py server …

It is asyncio's own loop in place of uvloop, because that lets itself be timed; what callbacks do is the same. A slice counts by the
CPU time of its thread, so that other load on the machine does not count. Written to F.json when the command ends.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

#: Seconds from which a slice is noted, and between two looks at what runs.
OVER, LOOK = float(os.environ.get("BENCH_SLICES_OVER", "0.005")), 0.001


class Slices:
    """``found``: dictionaries with ``at`` (monotonic), ``ms``, ``who``, ``gc`` (ms in the collector) and ``doing`` (most seen)."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.turns = 0
        #: milliseconds that the collector took each time, by generation
        self.collections: list[list[float]] = [[], [], []]
        self._thread = threading.get_ident()
        self._began: float | None = None
        self._seen: list[str] = []
        #: when a collection of everything ran, and what asked for it
        self.full: list[dict[str, Any]] = []
        self._collecting = self._collected = 0.0

    def install(self) -> None:
        run, slices = asyncio.events.Handle._run, self

        def timed(handle: asyncio.events.Handle) -> None:
            slices._begin()
            before = time.thread_time()
            run(handle)
            slices._end(handle, time.thread_time() - before)

        asyncio.events.Handle._run = timed  # type: ignore[method-assign]
        gc.callbacks.append(self._on_collection)
        sys.setswitchinterval(LOOK)
        threading.Thread(target=self._look, name="slices", daemon=True).start()

    def _begin(self) -> None:
        self._collected = 0.0
        self._began = time.monotonic()

    def _end(self, handle: asyncio.events.Handle, seconds: float) -> None:
        self._began = None
        self.turns += 1
        if seconds >= OVER:
            most = sorted(set(self._seen), key=lambda place: -self._seen.count(place))[:3]
            about = {"at": time.monotonic(), "ms": seconds * 1000, "who": _who(handle), "gc": self._collected * 1000, "doing": most}
            self.found.append(about)
        self._seen = []

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            took = time.thread_time() - self._collecting
            self._collected += took
            self.collections[about["generation"]].append(took * 1000)
            if about["generation"] == 2:
                frame = sys._getframe(1)
                self.full.append({"at": time.monotonic(), "ms": took * 1000, "doing": _place(frame), "collected": about["collected"]})

    def _look(self) -> None:
        """What the loop's thread does in the later part of a slice that has become long."""
        while True:
            time.sleep(LOOK)
            began = self._began
            if began is not None and time.monotonic() - began > OVER / 3:
                frame = sys._current_frames().get(self._thread)
                self._seen.append(_place(frame))

    def write(self, to: Path) -> None:
        to.write_text(json.dumps({"turns": self.turns, "found": self.found, "collections": self.collections, "full": self.full}))


def _place(frame: FrameType | None) -> str:
    """The innermost three functions of ours, the outer first."""
    named: list[str] = []
    while frame is not None and len(named) < 3:
        code = frame.f_code
        if "bareboat" in code.co_filename:
            named.append(f"{Path(code.co_filename).stem}.{code.co_qualname}")
        frame = frame.f_back
    return " > ".join(reversed(named))


def _who(handle: asyncio.events.Handle) -> str:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return f"{owner.get_name()}: {getattr(coroutine, '__qualname__', coroutine)}"
    return str(getattr(callback, "__qualname__", callback))


def main() -> None:
    import uvloop

    sys.path[0] = os.getcwd()  # the modules beside this one are not the command's
    slices = Slices()
    slices.install()
    atexit.register(slices.write, Path(os.environ["BENCH_SLICES"]))
    uvloop.run = asyncio.run  # type: ignore[assignment]
    from bareboat.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
