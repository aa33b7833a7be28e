"""How many pods of a kind are on each node: counted once when first asked for, then kept up as pods come and go.

``Counts`` is asked with a ``Matcher`` (which pods); ``Groups`` keeps the terms that placed pods have themselves, so that a new pod
looks at each distinct term once and not at every pod. What comes in: placed pods from ``Columns``. What goes out: arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import msgspec

from bareboat.contracts.scheduling import FloatArray
from bareboat.models.selectors import Selector
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.rows import Rows
from bareboat.scheduler.terms import Term

#: Matchers kept up at once; the one that was not asked for longest is forgotten.
MATCHERS = 256


class Matcher(msgspec.Struct, frozen=True):
    """Pods of the namespaces (None: all) that every selector means; ``terminating`` ones or not."""

    namespaces: frozenset[str] | None
    selectors: tuple[Selector, ...]
    terminating: bool = True

    def __call__(self, pod: PlacedPod) -> bool:
        if self.namespaces is not None and pod.namespace not in self.namespaces:
            return False
        if pod.terminating and not self.terminating:
            return False
        return all(selector.matches(pod.labels) for selector in self.selectors)


class Counts:
    def __init__(self, capacity: int) -> None:
        self.rows = Rows(capacity)
        self._matchers: dict[Matcher, None] = {}

    def of(self, matcher: Matcher, pods: Iterable[tuple[int, PlacedPod]]) -> FloatArray:
        """``pods`` are all pods with the index of their node, read only if the matcher is new."""
        if self._matchers.pop(matcher, self) is self:
            if len(self._matchers) >= MATCHERS:
                oldest = next(iter(self._matchers))
                del self._matchers[oldest]
                self.rows.drop(oldest)
            row = self.rows.row(matcher)
            for i, pod in pods:
                if matcher(pod):
                    row[i] += 1.0
        self._matchers[matcher] = None
        return self.rows.row(matcher)

    def account(self, i: int, pod: PlacedPod, sign: float) -> None:
        for matcher in self._matchers:
            if matcher(pod):
                self.rows.row(matcher)[i] += sign


class Groups:
    """Sums of the weights of equal terms of placed pods, per node."""

    def __init__(self, capacity: int) -> None:
        self.rows = Rows(capacity)
        self._terms: dict[Hashable, tuple[str, Term]] = {}
        self._holders: Counter[Hashable] = Counter()

    def account(self, i: int, pod: PlacedPod, sign: float) -> None:
        for kind, term, weight in pod.grouped:
            key = (kind, term.identity)
            self._terms[key] = (kind, term)
            self.rows.row(key)[i] += sign * weight
            self._holders[key] += int(sign)
            if not self._holders[key]:
                self.rows.drop(key)
                del self._terms[key], self._holders[key]

    def of(self, kind: str) -> Iterator[tuple[Term, FloatArray]]:
        return ((term, self.rows.row(key)) for key, (found, term) in self._terms.items() if found == kind)
