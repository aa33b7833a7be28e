"""What a controller has done and its informer has not shown yet: it waits with further steps until it has, or for five minutes."""

from __future__ import annotations

from bareboat.base.clock import Clock

PATIENCE = 300.0


class Expectations:
    """Counts per key of creations and names of deletions that have still to be seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._creations: dict[str, int] = {}
        self._deletions: dict[str, set[str]] = {}
        self._since: dict[str, float] = {}

    def satisfied(self, key: str) -> bool:
        if self._creations.get(key, 0) <= 0 and not self._deletions.get(key):
            return True
        return self._clock.monotonic() - self._since.get(key, 0.0) > PATIENCE

    def expect(self, key: str, creations: int = 0, deletions: set[str] | None = None) -> None:
        self._creations[key] = creations
        self._deletions[key] = set(deletions or ())
        self._since[key] = self._clock.monotonic()

    def created(self, key: str) -> None:
        if key in self._creations:
            self._creations[key] -= 1

    def deleted(self, key: str, uid: str) -> None:
        self._deletions.get(key, set()).discard(uid)

    def forget(self, key: str) -> None:
        self._creations.pop(key, None)
        self._deletions.pop(key, None)
        self._since.pop(key, None)
