"""A term of pod (anti-)affinity, compiled: which pods it means, and in which topology.

What comes in: the term, the namespace and labels of the pod that has it. What goes out: ``Term``, the same object for pods of
one template, so that it can be a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from bareboat.models import core_v1
from bareboat.models.codec import decode, encode
from bareboat.models.selectors import NOTHING, Requirement, Selector, from_label_selector

#: Labels of a namespace by its name.
Namespaces = Mapping[str, Mapping[str, str]]


class Term:
    """``identity`` tells terms apart that mean different pods or topologies."""

    __slots__ = ("identity", "namespaces", "selector", "spaces", "topology")

    def __init__(self, term: core_v1.PodAffinityTerm, namespace: str, selector: Selector) -> None:
        self.topology = term.topologyKey
        self.selector = selector
        self.spaces = None if term.namespaceSelector is None else from_label_selector(term.namespaceSelector)
        own = frozenset() if term.namespaces or self.spaces is not None else frozenset({namespace})
        self.namespaces = frozenset(term.namespaces) | own
        self.identity = (self.topology, self.namespaces, self.spaces, selector)

    def in_reach(self, namespace: str, namespaces: Namespaces) -> bool:
        """Whether it looks at pods of that namespace."""
        if namespace in self.namespaces:
            return True
        return self.spaces is not None and (self.spaces.empty or self.spaces.matches(namespaces.get(namespace, {})))

    def means(self, namespace: str, labels: Mapping[str, str], namespaces: Namespaces) -> bool:
        return self.selector.matches(labels) and self.in_reach(namespace, namespaces)


def term_of(term: core_v1.PodAffinityTerm, pod: core_v1.Pod) -> Term:
    """``matchLabelKeys`` and ``mismatchLabelKeys`` are filled in with the pod's own labels."""
    labels = pod.metadata.labels
    same = tuple((key, labels[key]) for key in term.matchLabelKeys if key in labels)
    other = tuple((key, labels[key]) for key in term.mismatchLabelKeys if key in labels)
    return _compiled(encode(term), pod.metadata.namespace, same, other)


@lru_cache(4096)
def _compiled(data: bytes, namespace: str, same: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> Term:
    term = decode(core_v1.PodAffinityTerm, data)
    selector = from_label_selector(term.labelSelector)
    if selector is not NOTHING:
        more = [Requirement(k, "in", (v,)) for k, v in same] + [Requirement(k, "notin", (v,)) for k, v in other]
        selector = Selector((*selector.requirements, *more))
    return Term(term, namespace, selector)


def required(rules: core_v1.PodAffinity | core_v1.PodAntiAffinity | None, pod: core_v1.Pod) -> list[Term]:
    terms = rules.requiredDuringSchedulingIgnoredDuringExecution if rules else []
    return [term_of(term, pod) for term in terms]


def preferred(rules: core_v1.PodAffinity | core_v1.PodAntiAffinity | None, pod: core_v1.Pod) -> Iterable[tuple[Term, int]]:
    terms = rules.preferredDuringSchedulingIgnoredDuringExecution if rules else []
    return [(term_of(term.podAffinityTerm, pod), term.weight) for term in terms]
