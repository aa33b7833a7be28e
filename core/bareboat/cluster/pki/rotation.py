"""Certificates that are made anew before they end, and files that are read again when they change. Nothing restarts for it.

What comes in: how each certificate is issued (which gives the old one while it is good) and what to do when its files are others. An
administrator who puts a certificate or a CA bundle into place is noticed in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bareboat.base.clock import Clock
from bareboat.cluster.pki.authority import Pair

log = logging.getLogger("bareboat.certificates")
#: Seconds between looks at the files, and between looks at the dates.
LOOK, ISSUE = 10.0, 3600.0
Stamp = tuple[tuple[int, int, int], ...]


@dataclass
class _Kept:
    name: str
    issue: Callable[[], Pair]
    changed: Callable[[], None]
    files: Sequence[Path]
    stamp: Stamp = field(default=())


class Rotation:
    """``keep`` what is in use; ``run`` until cancelled."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: list[_Kept] = []
        self._issued = clock.monotonic()

    def keep(self, name: str, issue: Callable[[], Pair], changed: Callable[[], None], *more: Path) -> Pair:
        """Issue now and watch over it; ``more`` are further files that ``changed`` is called for."""
        pair = issue()
        kept = _Kept(name, issue, changed, (pair.certificate, pair.key, *more))
        kept.stamp = _stamp(kept.files)
        self._kept.append(kept)
        return pair

    async def run(self) -> None:
        while True:
            await self._clock.sleep(LOOK)
            self.look()

    def look(self) -> None:
        """Whether something is due or was replaced."""
        due = self._clock.monotonic() - self._issued >= ISSUE
        if due:
            self._issued = self._clock.monotonic()
        for kept in self._kept:
            try:
                self._one(kept, due)
            except (OSError, ValueError) as error:  # half-written files: the old certificate serves on, the next look tries again
                log.warning("certificate %s cannot be used, the former one is kept: %s", kept.name, error)

    def _one(self, kept: _Kept, due: bool) -> None:
        if due:
            kept.issue()
        now = _stamp(kept.files)
        if now != kept.stamp:
            kept.changed()
            kept.stamp = now
            log.info("certificate %s was replaced and is in use", kept.name)


def _stamp(files: Sequence[Path]) -> Stamp:
    return tuple((s.st_mtime_ns, s.st_ino, s.st_size) for s in (file.stat() for file in files))
