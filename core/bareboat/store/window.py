"""The recent changes, in memory: watches resume from them and older pages are rebuilt from them."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator

from bareboat.store.entry import Change, Entry


class Window:
    """At most ``size`` changes. Everything after ``start`` is here."""

    def __init__(self, size: int, start: int) -> None:
        self._size = size
        self._changes: deque[Change] = deque()
        self.start = start

    def add(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > self._size:
            self.start = self._changes.popleft().revision

    def after(self, revision: int) -> Iterator[Change]:
        """Changes after ``revision``, which must not be before ``start``."""
        first = bisect.bisect_right(self._changes, revision, key=lambda c: c.revision)
        return (self._changes[i] for i in range(first, len(self._changes)))

    def before(self, prefix: str, revision: int) -> dict[str, Entry | None]:
        """What the keys under ``prefix`` that changed after ``revision`` were at it; None: not there."""
        found: dict[str, Entry | None] = {}
        for change in self.after(revision):
            if change.key.startswith(prefix) and change.key not in found:
                found[change.key] = change.previous
        return found
