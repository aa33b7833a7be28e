"""The log back end: a line of JSON per event, in a file that only its owner reads, rotated by size, kept by age and number.

A thread writes; the loop only hands it bytes. While more than ``BUFFER`` events are unwritten the back end is ``full`` and the
server answers nothing new; past ten times that (nobody waits on behalf of the server's own controllers) events are lost and counted.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import queue
import shutil
import threading
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from bareboat.base.clock import Clock

log = logging.getLogger("bareboat.audit")
BUFFER: Final = 10_000
_BATCH: Final = 1000
_DAY: Final = 86_400.0


class LogOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``maxSize`` in megabytes; ``maxAge`` in days and ``maxBackups`` in files, 0: no bound; ``compress`` what was rotated."""

    path: str
    maxSize: int = 100
    maxAge: int = 30
    maxBackups: int = 10
    compress: bool = False


class LogBackend:
    """One file. ``run`` until cancelled; what was handed over before is written."""

    name = "log"

    def __init__(self, options: LogOptions, clock: Clock) -> None:
        self._options = options
        self._path = Path(options.path)
        self._clock = clock
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.errors = 0
        self._file: BinaryIO | None = None
        self._size = 0
        self._open()

    @property
    def full(self) -> bool:
        return self._queue.qsize() > BUFFER

    def put(self, event: bytes) -> None:
        if self._queue.qsize() > 10 * BUFFER:
            self.errors += 1
        else:
            self._queue.put(event)

    async def run(self) -> None:
        writer = threading.Thread(target=self._write_forever, name="audit-log", daemon=True)
        writer.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._queue.put(None)
            await asyncio.to_thread(writer.join, 5.0)

    def _write_forever(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            ended = None in batch
            self.write([event for event in batch if event is not None])
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, events: list[bytes]) -> None:
        """On the writer's thread."""
        data = b"".join(event + b"\n" for event in events)
        try:
            if self._size and self._size + len(data) > self._options.maxSize * 1_000_000:
                self._rotate()
            file = self._file or self._open()
            file.write(data)
            file.flush()
            self._size += len(data)
        except OSError as error:
            self.errors += len(events)
            log.warning("%d audit events could not be written to %s: %s", len(events), self._path, error.strerror)

    def _open(self) -> BinaryIO:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
        self._size = self._file.tell()
        return self._file

    def _rotate(self) -> None:
        self.close()
        at = self._clock.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        kept = self._path.with_name(f"{self._path.stem}-{at}{self._path.suffix}")
        self._path.rename(kept)
        self._open()
        if self._options.compress:
            _compress(kept)
        self._prune()

    def _prune(self) -> None:
        """Of the rotated files the old ones, and all but the newest few."""
        found = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}*"), reverse=True)
        bound = self._clock.now().timestamp() - self._options.maxAge * _DAY
        for i, file in enumerate(found):
            too_many = self._options.maxBackups and i >= self._options.maxBackups
            too_old = self._options.maxAge and file.stat().st_mtime < bound
            if too_many or too_old:
                file.unlink()


def _compress(path: Path) -> None:
    target = path.with_name(path.name + ".gz")
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with path.open("rb") as source, os.fdopen(handle, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb") as packed:
        shutil.copyfileobj(source, packed)
    path.unlink()
