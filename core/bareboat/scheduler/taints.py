"""Which nodes have the same taints: what taints mean to a pod is asked once per set, however many nodes have it.

What comes in: a node's taints, by the node's index. What goes out: a judgement of every set, as an array over the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bareboat.models import core_v1

#: Sets that no node has any more are forgotten when there are more than twice as many as nodes, and this.
SPARE = 64

_Set = tuple[tuple[str, str, str], ...]


class TaintSets:
    """A node that is not there counts as one without taints."""

    def __init__(self, capacity: int) -> None:
        self._ids: NDArray[np.intp] = np.zeros(capacity, dtype=np.intp)
        self._known: dict[_Set, int] = {(): 0}
        self._taints: list[list[core_v1.Taint]] = [[]]

    def put(self, index: int, taints: list[core_v1.Taint]) -> None:
        found = tuple((t.key, t.value, t.effect) for t in taints)
        if found not in self._known:
            if len(self._known) > 2 * len(self._ids) + SPARE:
                self._forget(set(self._ids.tolist()))
            self._known[found] = len(self._taints)
            self._taints.append(taints)
        self._ids[index] = self._known[found]

    def each(self, judge: Callable[[list[core_v1.Taint]], Any], nodes: int) -> NDArray[Any]:
        """What ``judge`` says of the taints of each of the first ``nodes`` nodes."""
        said: NDArray[Any] = np.array([judge(taints) for taints in self._taints])[self._ids[:nodes]]
        return said

    def move(self, source: int, target: int) -> None:
        self._ids[target] = self._ids[source]

    def clear(self, index: int) -> None:
        self._ids[index] = 0

    def grow(self, capacity: int) -> None:
        self._ids = np.concatenate([self._ids, np.zeros(capacity - len(self._ids), dtype=np.intp)])

    def _forget(self, used: Iterable[int]) -> None:
        kept = sorted({0, *used})
        new = {old: number for number, old in enumerate(kept)}
        self._known = {found: new[old] for found, old in self._known.items() if old in new}
        self._taints = [self._taints[old] for old in kept]
        self._ids = np.array([new[old] for old in self._ids.tolist()], dtype=np.intp)
