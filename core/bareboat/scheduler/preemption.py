"""Which pods to evict so that a more important one fits: a search over the columns; nothing is evicted here.

What comes in: the pod and the verdict that refused it. What goes out: an ``Outcome``: a node and its victims, or upstream's words on
why there is none. On every node where it may help, all less important pods are taken away; if the pod then fits, they come back
one by one, the most important first and those that a disruption budget protects before the others, as long as it still fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bareboat.base.ids import Ids
from bareboat.contracts.scheduling import BoolArray
from bareboat.models import policy_v1
from bareboat.models.selectors import from_label_selector
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.filters import Asking, Filters
from bareboat.scheduler.nominations import Nominations
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.verdict import Verdict, reasons

#: Nodes compared at most; which ones is left to chance in a larger cluster.
CANDIDATES = 100
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NO_HELP = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


class Outcome(msgspec.Struct, frozen=True):
    """``node`` and ``victims``, or neither and a ``message``; ``keep`` leaves the pod's nomination as it is."""

    node: str = ""
    victims: tuple[PlacedPod, ...] = ()
    message: str = ""
    keep: bool = False


class Candidate(msgspec.Struct, frozen=True):
    """``victims`` from the most important down; ``violations`` of them are protected by a budget that is spent."""

    index: int
    victims: list[PlacedPod]
    violations: int

    def cost(self) -> tuple[int, int, int, int]:
        """Less is better; the last tie is broken by who runs for the shortest time."""
        summed = sum(pod.priority + 2**31 for pod in self.victims)
        return self.violations, self.victims[0].priority, summed, len(self.victims)

    def since(self) -> str:
        """When the longest running of the most important victims started."""
        top = self.victims[0].priority
        return min(pod.started or "~" for pod in self.victims if pod.priority == top)


class Preemption:
    def __init__(
        self,
        columns: Columns,
        filters: Filters,
        nominations: Nominations,
        budgets: Callable[[], Sequence[policy_v1.PodDisruptionBudget]],
        ids: Ids,
    ) -> None:
        self._columns = columns
        self._filters = filters
        self._nominations = nominations
        self._budgets = budgets
        self._ids = ids

    def find(self, asking: Asking, verdict: Verdict) -> Outcome:
        if why := self._ineligible(asking, verdict):
            return Outcome(message=why, keep=True)
        blame: Counter[str] = Counter()
        hopeless = int(np.count_nonzero(verdict.hopeless))
        if hopeless:
            blame[NO_HELP] = hopeless
        with self._columns.changed(with_=self._nominations.ahead_of(asking.key, asking.priority)):
            found = self._candidates(asking, verdict, blame)
        if not found:
            return Outcome(message=f"0/{len(self._columns)} nodes are available: {reasons(blame)}.")
        chosen = cheapest(found)
        return Outcome(self._columns.names[chosen.index], tuple(chosen.victims))

    def _ineligible(self, asking: Asking, verdict: Verdict) -> str:
        if asking.pod.spec.preemptionPolicy == "Never":
            return NEVER
        i = self._columns.index.get(self._nominations.node_of(asking.key))
        if i is None or verdict.hopeless[i]:
            return ""
        leaving = any(pod.preempted and pod.priority < asking.priority for pod in self._columns.pods[i].values())
        return TERMINATING if leaving else ""

    def _candidates(self, asking: Asking, verdict: Verdict, blame: Counter[str]) -> list[Candidate]:
        hopeful = ~verdict.hopeless
        populated = self._columns.lower(asking.priority, "pods") > 0
        if empty := int(np.count_nonzero(hopeful & ~populated)):
            blame[NO_VICTIMS] += empty
        worth = np.flatnonzero(hopeful & populated & self._roomy(asking, hopeful & populated, blame))
        budgets = [_Budget(b) for b in self._budgets()] if len(worth) else []
        found: list[Candidate] = []
        for i in self._sampled(worth):
            candidate = self._try(asking, i, budgets, blame)
            if candidate is not None:
                found.append(candidate)
                if len(found) >= CANDIDATES and any(not c.violations for c in found):
                    break
        return found

    def _roomy(self, asking: Asking, among: BoolArray, blame: Counter[str]) -> BoolArray:
        """Where the amounts would do with every less important pod gone: most nodes are ruled out here, all at once."""
        nodes = self._columns.arrays()
        roomy = np.ones(len(self._columns), dtype=bool)
        for resource, wanted in asking.use.requests.items():
            if wanted <= 0 or resource not in nodes.allocatable:
                continue
            left = nodes.requested[resource] - self._columns.lower(asking.priority, resource)
            enough = left + wanted <= nodes.allocatable[resource]
            if short := int(np.count_nonzero(among & ~enough)):
                blame["Too many pods" if resource == "pods" else f"Insufficient {resource}"] += short
            roomy &= enough
        return roomy

    def _sampled(self, indexes: NDArray[np.int64]) -> Iterator[int]:
        """All of them, from a random one on."""
        start = int(self._ids.fraction() * len(indexes))
        return (int(i) for i in np.roll(indexes, -start))

    def _try(self, asking: Asking, i: int, budgets: list[_Budget], blame: Counter[str]) -> Candidate | None:
        lower = sorted((p for p in self._columns.pods[i].values() if p.priority < asking.priority), key=lambda p: p.importance)
        protected, others = _by_budget(lower, budgets)
        order = [*protected, *others]
        if asking.plain() and self._filters.arithmetic:
            victims = self._by_amounts(asking, i, order)
        else:
            victims = self._by_filters(asking, i, order, blame)
        if not victims:
            return None
        violations = sum(1 for pod in protected if pod in victims)
        return Candidate(i, sorted(victims, key=lambda p: p.importance), violations)

    def _by_amounts(self, asking: Asking, i: int, order: list[PlacedPod]) -> list[PlacedPod]:
        """The same as ``_by_filters`` where only amounts matter."""
        nodes = self._columns.arrays()
        free: dict[str, float] = {}
        for resource, wanted in asking.use.requests.items():
            if wanted > 0:
                there = float(nodes.allocatable[resource][i] - nodes.requested[resource][i])
                free[resource] = there - wanted + sum(p.use.requests.get(resource, 0.0) for p in order)
        victims = []
        for pod in order:
            takes = pod.use.requests
            if all(left >= takes.get(resource, 0.0) for resource, left in free.items()):
                for resource in free:
                    free[resource] -= takes.get(resource, 0.0)
            else:
                victims.append(pod)
        return victims

    def _by_filters(self, asking: Asking, i: int, order: list[PlacedPod], blame: Counter[str]) -> list[PlacedPod]:
        victims = list(order)
        with self._columns.changed(without=order):
            verdict = self._filters.run(asking)
            if not verdict.fits[i]:
                blame.update(verdict.reasons_at(i))
                return []
        for pod in order:
            rest = [v for v in victims if v is not pod]
            with self._columns.changed(without=rest):
                if self._filters.run(asking).fits[i]:
                    victims = rest
        return victims


def cheapest(found: list[Candidate]) -> Candidate:
    """Upstream's order: fewest violations, lowest top priority, lowest sum, fewest victims, latest start."""
    least = min(candidate.cost() for candidate in found)
    return max((c for c in found if c.cost() == least), key=Candidate.since)


class _Budget:
    """How many more evictions a budget allows."""

    def __init__(self, budget: policy_v1.PodDisruptionBudget) -> None:
        self.namespace = budget.metadata.namespace
        self.selector = from_label_selector(budget.spec.selector)
        self.disrupted = set(budget.status.disruptedPods)
        self.allowed = budget.status.disruptionsAllowed or 0

    def protects(self, pod: PlacedPod) -> bool:
        if pod.namespace != self.namespace or self.selector.empty or pod.name in self.disrupted:
            return False
        return self.selector.matches(pod.labels)


def _by_budget(pods: list[PlacedPod], budgets: list[_Budget]) -> tuple[list[PlacedPod], list[PlacedPod]]:
    """(those whose eviction would violate a budget, the others), each in the order given."""
    allowed = [budget.allowed for budget in budgets]
    protected: list[PlacedPod] = []
    others: list[PlacedPod] = []
    for pod in pods:
        violates = False
        for n, budget in enumerate(budgets):
            if budget.protects(pod):
                allowed[n] -= 1
                violates = violates or allowed[n] < 0
        (protected if violates else others).append(pod)
    return protected, others
