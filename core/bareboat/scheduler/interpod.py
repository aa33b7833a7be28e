"""Where a pod may and would rather run by the pods that are there: (anti-)affinity in both directions.

Costs nothing for a pod without such rules among pods without such rules. Reasons are upstream's words.
"""

from __future__ import annotations

import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray
from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.counts import Matcher
from bareboat.scheduler.terms import Namespaces, Term, preferred, required
from bareboat.scheduler.verdict import FACTS, OTHER_PODS, Verdict

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"


class InterPod:
    """The rules between one pod and all others."""

    def __init__(self, pod: core_v1.Pod, columns: Columns, namespaces: Namespaces) -> None:
        affinity = pod.spec.affinity
        self._pod = pod
        self._columns = columns
        self._namespaces = namespaces
        self._attracting = required(affinity.podAffinity, pod) if affinity else []
        self._repelling = required(affinity.podAntiAffinity, pod) if affinity else []
        self._liked = [*preferred(affinity.podAffinity, pod)] if affinity else []
        self._disliked = [*preferred(affinity.podAntiAffinity, pod)] if affinity else []

    def required(self) -> bool:
        """Whether any rule may refuse a node."""
        return bool(self._attracting or self._repelling or any(self._meant(term) for term, _ in self._columns.groups.of("anti")))

    def narrow(self, verdict: Verdict) -> None:
        if self._attracting:
            self._attract(verdict)
        for term in self._repelling:
            verdict.narrow(~self._near(term, self._count((term,))), ANTI_AFFINITY, OTHER_PODS)
        for term, holders in self._columns.groups.of("anti"):
            if self._meant(term):
                verdict.narrow(~self._near(term, holders[: len(self._columns)]), EXISTING_ANTI_AFFINITY, OTHER_PODS)

    def score(self, fits: BoolArray) -> FloatArray | None:
        """0..100 over the nodes that fit; None if nobody cares."""
        theirs = [(term, weights) for term, weights in self._columns.groups.of("score") if self._meant(term)]
        if not (self._liked or self._disliked or theirs):
            return None
        total = np.zeros(len(self._columns))
        for term, weight in self._liked:
            total += self._amount(term, self._count((term,))) * weight
        for term, weight in self._disliked:
            total -= self._amount(term, self._count((term,))) * weight
        for term, weights in theirs:
            total += self._amount(term, weights[: len(self._columns)])
        low, high = total[fits].min(), total[fits].max()
        if low == high:
            return None
        scaled: FloatArray = (total - low) * (100.0 / (high - low))
        return scaled

    def _attract(self, verdict: Verdict) -> None:
        count = self._count(tuple(self._attracting))
        labelled = np.ones(len(self._columns), dtype=bool)
        near = np.ones(len(self._columns), dtype=bool)
        anywhere = False
        for term in self._attracting:
            labelled &= self._columns.domains(term.topology).present
            met = self._near(term, count)
            anywhere = anywhere or bool(met.any())
            near &= met
        if not anywhere and all(self._meant(term) for term in self._attracting):
            near = labelled  # the first of its own kind
        verdict.narrow(near, AFFINITY, OTHER_PODS if anywhere else OTHER_PODS | FACTS, hopeless=True)

    def _meant(self, term: Term) -> bool:
        return term.means(self._pod.metadata.namespace, self._pod.metadata.labels, self._namespaces)

    def _count(self, terms: tuple[Term, ...]) -> FloatArray:
        """Pods per node that all the terms mean."""
        reach: frozenset[str] | None = None
        for term in terms:
            own = self._reach(term)
            reach = own if reach is None else reach if own is None else reach & own
        return self._columns.count(Matcher(reach, tuple(term.selector for term in terms)))

    def _reach(self, term: Term) -> frozenset[str] | None:
        if term.spaces is None:
            return term.namespaces
        if term.spaces.empty:
            return None
        return frozenset(n for n in self._namespaces if term.in_reach(n, self._namespaces)) | term.namespaces

    def _amount(self, term: Term, per_node: FloatArray) -> FloatArray:
        domains = self._columns.domains(term.topology)
        return domains.at_nodes(domains.totals(per_node))

    def _near(self, term: Term, per_node: FloatArray) -> BoolArray:
        near: BoolArray = self._amount(term, per_node) > 0
        return near
