"""Where a pod may run by the pods that are there: required (anti-)affinity in both directions, and topology spread.

Costs nothing for a pod without such rules in a cluster without anti-affinity. Reasons are upstream's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from bareboat.contracts.scheduling import BoolArray
from bareboat.models import core_v1
from bareboat.models.selectors import Selector, from_label_selector
from bareboat.scheduler.columns import Columns, PlacedPod

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"
SPREAD = "node(s) didn't match pod topology spread constraints"

Verdict = tuple[BoolArray, str]


class Term:
    """A required term, compiled: does it mean that pod, and in which domains."""

    def __init__(self, term: core_v1.PodAffinityTerm, namespace: str) -> None:
        self.topology = term.topologyKey
        self._namespaces = set(term.namespaces) or ({namespace} if term.namespaceSelector is None else set())
        self._all_namespaces = term.namespaceSelector is not None and not term.namespaces
        self._selector: Selector | None = from_label_selector(term.labelSelector) if term.labelSelector is not None else None

    def means(self, namespace: str, labels: dict[str, str]) -> bool:
        if self._selector is None or not (self._all_namespaces or namespace in self._namespaces):
            return False
        return self._selector.matches(labels)


def verdicts(pod: core_v1.Pod, columns: Columns) -> Iterable[Verdict]:
    """(mask, reason) of every rule that applies to the pod."""
    affinity = pod.spec.affinity
    if any(p.anti_affinity for p in columns.placed().values()):
        yield _existing(pod, columns), EXISTING_ANTI_AFFINITY
    if affinity and affinity.podAffinity:
        for term in affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution:
            yield _attracted(Term(term, pod.metadata.namespace), pod, columns), AFFINITY
    if affinity and affinity.podAntiAffinity:
        for term in affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution:
            yield _repelled(Term(term, pod.metadata.namespace), columns), ANTI_AFFINITY
    for constraint in pod.spec.topologySpreadConstraints:
        if constraint.whenUnsatisfiable == "DoNotSchedule":
            yield _spread(constraint, pod, columns), SPREAD


def _domains(columns: Columns, topology: str) -> list[str | None]:
    return [labels.get(topology) for labels in columns.labels]


def _mask(columns: Columns, topology: str, domains: set[str], *, inside: bool) -> BoolArray:
    return np.array([(d is not None and d in domains) if inside else d not in domains for d in _domains(columns, topology)], dtype=bool)


def _with(term: Term, columns: Columns) -> set[str]:
    """The domains that hold a pod which the term means."""
    found = set()
    for labels, pods in zip(columns.labels, columns.pods, strict=True):
        domain = labels.get(term.topology)
        if domain is not None and domain not in found and any(term.means(p.namespace, p.labels) for p in pods.values()):
            found.add(domain)
    return found


def _attracted(term: Term, pod: core_v1.Pod, columns: Columns) -> BoolArray:
    domains = _with(term, columns)
    if not domains and term.means(pod.metadata.namespace, pod.metadata.labels):
        return np.array([d is not None for d in _domains(columns, term.topology)], dtype=bool)  # the first of its own kind
    return _mask(columns, term.topology, domains, inside=True)


def _repelled(term: Term, columns: Columns) -> BoolArray:
    return _mask(columns, term.topology, _with(term, columns), inside=False)


def _existing(pod: core_v1.Pod, columns: Columns) -> BoolArray:
    result = np.ones(len(columns), dtype=bool)
    for i, pods in enumerate(columns.pods):
        for placed in pods.values():
            for term in _terms(placed):
                domain = columns.labels[i].get(term.topology)
                if domain is not None and term.means(pod.metadata.namespace, pod.metadata.labels):
                    result &= _mask(columns, term.topology, {domain}, inside=False)
    return result


def _terms(placed: PlacedPod) -> Iterable[Term]:
    return (Term(t, placed.namespace) for t in placed.anti_affinity)


def _spread(constraint: core_v1.TopologySpreadConstraint, pod: core_v1.Pod, columns: Columns) -> BoolArray:
    selector = from_label_selector(constraint.labelSelector) if constraint.labelSelector is not None else None
    counts: Counter[str] = Counter()
    domains = _domains(columns, constraint.topologyKey)
    for domain, pods in zip(domains, columns.pods, strict=True):
        if domain is not None:
            counts[domain] += sum(1 for p in pods.values() if _counted(selector, pod, p))
    least = 0 if len(counts) < (constraint.minDomains or 1) else min(counts.values(), default=0)
    own = 1 if selector is not None and selector.matches(pod.metadata.labels) else 0
    return np.array([d is not None and counts[d] + own - least <= constraint.maxSkew for d in domains], dtype=bool)


def _counted(selector: Selector | None, pod: core_v1.Pod, placed: PlacedPod) -> bool:
    return selector is not None and placed.namespace == pod.metadata.namespace and selector.matches(placed.labels)
