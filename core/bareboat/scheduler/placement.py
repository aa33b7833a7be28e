"""One decision: the node for a pod, or why there is none. Synchronous and pure but for the tie-break's random number.

A node must fit both with and without the pods that are nominated to nodes and at least as important: they may come or not. The node
that a pod is nominated for itself is taken if it fits. Else the best weighted sum of scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from bareboat.base.ids import Ids
from bareboat.contracts.scheduling import SchedulingPolicy
from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.filters import Asking, Filters, Surroundings
from bareboat.scheduler.nominations import Nominations
from bareboat.scheduler.requests import PodUse
from bareboat.scheduler.scores import own_scores
from bareboat.scheduler.verdict import Verdict

NO_NODES = "no nodes available to schedule pods"


class Decision(msgspec.Struct, frozen=True):
    """``node`` "" when none fits; ``message`` then says why, in upstream's form; ``asking`` and ``verdict`` what it was found by."""

    node: str
    message: str = ""
    asking: Asking | None = None
    verdict: Verdict | None = None


class Placement:
    """Decides over one ``Columns``; ``policies`` with their weights come from the profile."""

    def __init__(
        self,
        columns: Columns,
        policies: Sequence[tuple[SchedulingPolicy, int]],
        ids: Ids,
        around: Surroundings | None = None,
        nominations: Nominations | None = None,
    ) -> None:
        self._columns = columns
        self._policies = policies
        self._ids = ids
        self.filters = Filters(columns, [policy for policy, _ in policies], around or Surroundings())
        self._nominations = nominations or Nominations()

    def decide(self, pod: core_v1.Pod, use: PodUse, key: str = "") -> Decision:
        if len(self._columns) == 0:
            return Decision("", NO_NODES)
        asking = self.filters.ask(key, pod, use)
        verdict = self.judge(asking)
        if not verdict.fits.any():
            return Decision("", verdict.message(), asking, verdict)
        nominated = self._columns.index.get(self._nominations.node_of(key), -1)
        best = nominated if nominated >= 0 and verdict.fits[nominated] else self._best(asking, verdict)
        return Decision(self._columns.names[best], "", asking, verdict)

    def judge(self, asking: Asking) -> Verdict:
        """The filters, as if nominated pods were there, and as if not."""
        ahead = self._nominations.ahead_of(asking.key, asking.priority)
        if not ahead:
            return self.filters.run(asking)
        if self.filters.arithmetic and asking.plain():
            reserved = self._nominations.reserved(asking.key, asking.priority, self._columns)
            if reserved is not None:
                return self.filters.run(asking, reserved)
        with self._columns.changed(with_=ahead):
            verdict = self.filters.run(asking)
        if verdict.fits.any() and not asking.plain():
            verdict.fits &= self.filters.run(asking).fits
        return verdict

    def _best(self, asking: Asking, verdict: Verdict) -> int:
        fits, nodes = verdict.fits, self._columns.arrays()
        total = own_scores(asking, self._columns, fits)
        for policy, weight in self._policies:
            score = policy.score(asking.request, nodes) if weight else None
            if score is not None:
                total += score if weight == 1 else weight * score
        if np.count_nonzero(fits) < len(fits):
            total[~fits] = -np.inf
        [best] = (total == total[total.argmax()]).nonzero()
        return int(best[int(self._ids.fraction() * len(best))])
