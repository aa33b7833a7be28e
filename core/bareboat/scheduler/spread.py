"""Topology spread: how evenly the pods of one selector lie over the domains of a topology, required and preferred.

Required constraints refuse nodes, the others give a score. A pod without constraints of its own gets the cluster's default ones
(hosts and zones, by the selectors of its services and owner). Formulas and reasons are upstream's.
"""

from __future__ import annotations

import math

import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray
from bareboat.models import core_v1
from bareboat.models.selectors import NOTHING, Requirement, Selector, from_label_selector
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.counts import Matcher
from bareboat.scheduler.domains import Domains
from bareboat.scheduler.static import StaticFit
from bareboat.scheduler.verdict import FACTS, OTHER_PODS, Verdict

UNEVEN = "node(s) didn't match pod topology spread constraints"
UNLABELLED = "node(s) didn't match pod topology spread constraints (missing required label)"
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
#: The cluster's default constraints: topology and skew.
DEFAULTS = ((HOST, 3), (ZONE, 5))


class Constraint:
    """One constraint, compiled for the pod that has it."""

    def __init__(self, wanted: core_v1.TopologySpreadConstraint, pod: core_v1.Pod, selector: Selector | None = None) -> None:
        self.topology, self.skew, self.least_domains = wanted.topologyKey, wanted.maxSkew, wanted.minDomains or 1
        self.honors_affinity = wanted.nodeAffinityPolicy != "Ignore"
        self.honors_taints = wanted.nodeTaintsPolicy == "Honor"
        if selector is None:
            selector = from_label_selector(wanted.labelSelector)
            labels = pod.metadata.labels
            own = [Requirement(key, "in", (labels[key],)) for key in wanted.matchLabelKeys if key in labels]
            selector = selector if selector.nothing else Selector((*selector.requirements, *own))
        self.own = 1.0 if selector.matches(pod.metadata.labels) else 0.0
        self.matcher = Matcher(frozenset({pod.metadata.namespace}), (selector,), terminating=False)

    def counted(self, static: StaticFit, labelled: BoolArray) -> BoolArray:
        """The nodes whose pods count and whose domains must be even."""
        among = labelled
        if self.honors_affinity:
            among = among & static.selected
        return among & static.tolerated if self.honors_taints else among


class Spread:
    """All constraints of one pod; ``default`` is the selector for the cluster's own ones."""

    def __init__(self, pod: core_v1.Pod, columns: Columns, static: StaticFit, default: Selector = NOTHING) -> None:
        self._columns = columns
        self._static = static
        own = pod.spec.topologySpreadConstraints
        self._hard = [Constraint(c, pod) for c in own if c.whenUnsatisfiable == "DoNotSchedule"]
        self._soft = [Constraint(c, pod) for c in own if c.whenUnsatisfiable != "DoNotSchedule"]
        self._strict = bool(own)
        if not own and default.requirements:
            soft = [
                core_v1.TopologySpreadConstraint(topologyKey=key, maxSkew=skew, whenUnsatisfiable="ScheduleAnyway")
                for key, skew in DEFAULTS
            ]
            self._soft = [Constraint(c, pod, default) for c in soft]

    def required(self) -> bool:
        return bool(self._hard)

    def narrow(self, verdict: Verdict) -> None:
        if not self._hard:
            return
        labelled = self._labelled(self._hard)
        for constraint in self._hard:
            domains = self._columns.domains(constraint.topology)
            verdict.narrow(domains.present, UNLABELLED, FACTS, hopeless=True)
            verdict.narrow(self._even(constraint, domains, labelled), UNEVEN, OTHER_PODS)

    def score(self, fits: BoolArray) -> FloatArray | None:
        """0..100 over the nodes that fit; None without such constraints."""
        if not self._soft:
            return None
        labelled = self._labelled(self._soft) if self._strict else np.ones(len(fits), dtype=bool)
        judged = fits & labelled
        if not judged.any():
            return None
        total = np.zeros(len(fits))
        for constraint in self._soft:
            total += self._burden(constraint, judged, labelled)
        total = np.round(total)
        return _inverted(total, judged)

    def _labelled(self, constraints: list[Constraint]) -> BoolArray:
        """Nodes that have the labels of all the constraints."""
        labelled = np.ones(len(self._columns), dtype=bool)
        for constraint in constraints:
            labelled &= self._columns.domains(constraint.topology).present
        return labelled

    def _even(self, constraint: Constraint, domains: Domains, labelled: BoolArray) -> BoolArray:
        among = constraint.counted(self._static, labelled)
        totals = domains.totals(self._columns.count(constraint.matcher), among)
        occupied = domains.occupied(among)
        enough = int(np.count_nonzero(occupied)) >= constraint.least_domains
        least = float(totals[:-1][occupied].min()) if enough and occupied.any() else 0.0
        even: BoolArray = domains.at_nodes(totals) + constraint.own - least <= constraint.skew
        return even

    def _burden(self, constraint: Constraint, judged: BoolArray, labelled: BoolArray) -> FloatArray:
        """What the pods in the node's domain weigh: more where there are few domains."""
        domains = self._columns.domains(constraint.topology)
        counts = self._columns.count(constraint.matcher)
        if constraint.topology == HOST:
            size, there = int(np.count_nonzero(judged)), counts
        else:
            size = int(np.count_nonzero(domains.occupied(judged)))
            there = domains.at_nodes(domains.totals(counts, constraint.counted(self._static, labelled)))
        burden: FloatArray = np.where(domains.present, there * math.log(size + 2) + (constraint.skew - 1), 0.0)
        return burden


def _inverted(total: FloatArray, judged: BoolArray) -> FloatArray:
    """The least burdened node gets 100; nodes that are not judged 0."""
    low, high = total[judged].min(), total[judged].max()
    if high == 0:
        return np.where(judged, 100.0, 0.0)
    return np.where(judged, 100.0 * (high + low - total) / high, 0.0)
