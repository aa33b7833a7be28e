"""Which old daemons may be replaced now, within maxUnavailable or maxSurge. Decides only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bareboat.controllers.daemonset.pods import is_updated
from bareboat.models import core_v1

Available = Callable[[core_v1.Pod], bool]


def _resolve(value: int | str | None, total: int) -> int:
    """Percentages are rounded up."""
    if isinstance(value, str):
        return math.ceil(int(value.rstrip("%")) * total / 100)
    return value or 0


def allows_surge(daemons: Any) -> bool:
    rolling = daemons.spec.updateStrategy.rollingUpdate
    return daemons.spec.updateStrategy.type == "RollingUpdate" and rolling is not None and _resolve(rolling.maxSurge, 100) > 0


def bounds(daemons: Any, desired: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods; never both 0."""
    rolling = daemons.spec.updateStrategy.rollingUpdate
    if rolling is None:
        return 0, 1
    surge, unavailable = _resolve(rolling.maxSurge, desired), _resolve(rolling.maxUnavailable, desired)
    return surge, max(unavailable, 0 if surge else 1)


class RollingUpdate:
    """``delete`` old pods and ``create`` pods on nodes beside old ones."""

    def __init__(self, daemons: Any, revision: str, desired: set[str], available: Available) -> None:
        self._daemons = daemons
        self._revision = revision
        self._available = available
        self._surge, self._unavailable = bounds(daemons, len(desired))
        self._desired = desired
        self.delete: list[core_v1.Pod] = []
        self.create: list[str] = []

    def decide(self, by_node: dict[str, list[core_v1.Pod]]) -> None:
        if self._surge:
            self._with_surge(by_node)
        else:
            self._in_place(by_node)

    def _split(self, pods: list[core_v1.Pod]) -> tuple[core_v1.Pod | None, core_v1.Pod | None, bool]:
        """The new and the old pod of a node, and whether there is at most one of each."""
        living = [p for p in pods if not p.metadata.deletionTimestamp]
        new = [p for p in living if is_updated(self._daemons, p, self._revision)]
        old = [p for p in living if not is_updated(self._daemons, p, self._revision)]
        return (new[0] if new else None), (old[0] if old else None), len(new) <= 1 and len(old) <= 1

    def _in_place(self, by_node: dict[str, list[core_v1.Pod]]) -> None:
        """Old pods that are not available may go at once, available ones as long as few enough are missing."""
        unavailable, candidates = 0, []
        for node in sorted(self._desired | set(by_node)):
            new, old, plain = self._split(by_node.get(node, []))
            if not plain or (new is None) == (old is None):
                unavailable += 1
            elif new is not None:
                unavailable += not self._available(new)
            elif old is not None and not self._available(old):
                self.delete.append(old)
                unavailable += 1
            elif old is not None:
                candidates.append(old)
        self.delete += candidates[: max(0, self._unavailable - unavailable)]

    def _with_surge(self, by_node: dict[str, list[core_v1.Pod]]) -> None:
        """New pods come beside old ones; an old one goes when its new one is available."""
        surging, candidates = 0, []
        for node, pods in sorted(by_node.items()):
            new, old, plain = self._split(pods)
            if not plain:
                surging += 1
            elif old is None:
                continue
            elif new is not None:
                if self._available(new):
                    self.delete.append(old)
                else:
                    surging += 1
            elif not self._available(old):
                self.create.append(node)
            else:
                candidates.append(node)
        allowed = [n for n in self.create + candidates[: max(0, self._surge - surging)] if n in self._desired]
        self.create = allowed
