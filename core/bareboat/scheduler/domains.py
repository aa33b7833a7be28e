"""The domains of one topology key as numbers, so that what is counted per node can be summed per domain in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray


class Domains:
    """``ids`` per node, -1 where the node has no such label; ``present`` where it has."""

    __slots__ = ("_safe", "count", "ids", "numbers", "present")

    def __init__(self, values: Sequence[str | None]) -> None:
        #: the domains' values and numbers
        self.numbers: dict[str, int] = {}
        numbers = self.numbers
        self.ids = np.array([-1 if v is None else numbers.setdefault(v, len(numbers)) for v in values], dtype=np.int64)
        self.present: BoolArray = self.ids >= 0
        self.count = len(numbers)
        self._safe = np.where(self.present, self.ids, self.count)

    def totals(self, per_node: FloatArray, among: BoolArray | None = None) -> FloatArray:
        """Sums per domain, of the nodes in ``among`` only; one more entry at the end for nodes without a domain."""
        weights = per_node if among is None else np.where(among, per_node, 0.0)
        sums: FloatArray = np.bincount(self._safe, weights=weights, minlength=self.count + 1).astype(np.float64, copy=False)
        sums[self.count] = 0.0
        return sums

    def where(self, holds: Callable[[str | None], bool]) -> BoolArray:
        """Nodes whose value satisfies the condition, asked once per value (and once for None)."""
        answers = np.array([*(holds(value) for value in self.numbers), holds(None)], dtype=bool)
        satisfied: BoolArray = answers[self._safe]
        return satisfied

    def at_nodes(self, totals: FloatArray) -> FloatArray:
        """The domain's total at each of its nodes, 0 where there is no domain."""
        spread: FloatArray = totals[self._safe]
        return spread

    def occupied(self, among: BoolArray) -> BoolArray:
        """Per domain: whether any node of ``among`` is in it."""
        found = np.zeros(self.count, dtype=bool)
        found[self.ids[among & self.present]] = True
        return found
