"""``matchLabelKeys``: the values come from the pod's own labels, and go into the selectors when the pod is made."""

from __future__ import annotations

from typing import Any

from bareboat.models import meta_v1


def merge_label_keys(pod: Any) -> None:
    labels, spec = pod.metadata.labels, pod.spec
    for constraint in spec.topologySpreadConstraints:
        _merge(constraint.labelSelector, constraint.matchLabelKeys, "In", labels)
    if spec.affinity is None:
        return
    for affinity in (spec.affinity.podAffinity, spec.affinity.podAntiAffinity):
        if affinity is None:
            continue
        weighted = [item.podAffinityTerm for item in affinity.preferredDuringSchedulingIgnoredDuringExecution]
        for term in [*affinity.requiredDuringSchedulingIgnoredDuringExecution, *weighted]:
            _merge(term.labelSelector, term.matchLabelKeys, "In", labels)
            _merge(term.labelSelector, term.mismatchLabelKeys, "NotIn", labels)


def _merge(selector: Any, keys: list[str], operator: str, labels: dict[str, str]) -> None:
    if selector is None or not keys:
        return
    more = [meta_v1.LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]]) for key in keys if key in labels]
    selector.matchExpressions = [*selector.matchExpressions, *more]
