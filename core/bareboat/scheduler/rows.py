"""Arrays with one number per node, kept in step: they grow, move and clear together.

What comes in: a key (a resource, a priority and a resource, a selector). What goes out: the array of that key, of ``capacity``
numbers of which the first ``len(nodes)`` mean something. No meaning lives here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np

from bareboat.contracts.scheduling import FloatArray


class Rows:
    """A row is made of zeros when it is first asked for."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows: dict[Hashable, FloatArray] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._rows)

    def row(self, key: Hashable) -> FloatArray:
        """The array itself: what is written to it stays."""
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = np.zeros(self._capacity)
        return found

    def drop(self, key: Hashable) -> None:
        self._rows.pop(key, None)

    def grow(self, capacity: int) -> None:
        for key, row in self._rows.items():
            self._rows[key] = np.concatenate([row, np.zeros(capacity - self._capacity)])
        self._capacity = capacity

    def move(self, source: int, target: int) -> None:
        for row in self._rows.values():
            row[target] = row[source]

    def clear(self, index: int) -> None:
        for row in self._rows.values():
            row[index] = 0.0
