"""Pods by selector without reading every pod of a namespace: pods of one template share their labels, so there are few sets to match."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.base.memo import remembered
from bareboat.models import core_v1
from bareboat.models.selectors import Selector
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import Informer, InformerFactory

_INDEX = "labels"
_BETWEEN = "\x00"


def labelled_pods(informers: InformerFactory) -> Informer[core_v1.Pod]:
    """The shared informer of pods, ready for ``select``."""
    pods = informers.of(core_v1.Pod)
    pods.add_index(_INDEX, _label_set, PodFacts)
    return pods


def select(pods: Informer[core_v1.Pod], namespace: str, selector: Selector) -> list[core_v1.Pod]:
    return [pod for key in matching(pods, namespace, selector) if (pod := pods.get(key)) is not None]


def matching(pods: Informer[core_v1.Pod], namespace: str, selector: Selector) -> list[str]:
    """The keys of the same."""
    start = namespace + _BETWEEN
    found = (v for v in pods.index_values(_INDEX) if v.startswith(start) and selector.matches(_labels(v)))
    return [key for value in found for key in pods.by_index(_INDEX, value)]


def _label_set(pod: Any) -> Iterable[str]:
    pairs = sorted(f"{name}={value}" for name, value in pod.metadata.labels.items())
    return (_BETWEEN.join([pod.metadata.namespace, *pairs]),)


@remembered(16384, longest=1024)
def _labels(value: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in value.split(_BETWEEN)[1:])
