"""Between two served versions of one stored kind: Event (core and events.k8s.io) and HorizontalPodAutoscaler (v2 and v1).

Objects are converted as trees; a field that has no place in the other version is kept the way upstream keeps it (HPA v1
annotations) or under its deprecated name (events).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bareboat.models.codec import encode, from_tree
from bareboat.models.scheme import Resource

Tree = dict[str, Any]

_EVENT_NAMES = (
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)
_HPA_SPEC = "autoscaling.alpha.kubernetes.io/metrics"
_HPA_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_HPA_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_HPA_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"


def convert(data: bytes, source: Resource, target: Resource) -> bytes:
    """Full JSON of one version → full JSON of the other."""
    return encode(convert_object(msgspec.json.decode(data), source, target))


def convert_object(tree: Tree, source: Resource, target: Resource) -> Any:
    """A tree of ``source`` → a Struct of ``target``."""
    change = _CHANGES.get((source.group, source.version, target.group, target.version, source.kind))
    changed = change(tree) if change else dict(tree)
    changed["apiVersion"], changed["kind"] = target.api_version, target.kind
    assert target.type is not None
    return from_tree(target.type, changed)


def _renamed(tree: Tree, names: list[tuple[str, str]]) -> Tree:
    mapping = dict(names)
    return {mapping.get(key, key): value for key, value in tree.items()}


def _event_to_core(tree: Tree) -> Tree:
    return _renamed(tree, [(new, old) for old, new in _EVENT_NAMES])


def _event_from_core(tree: Tree) -> Tree:
    return _renamed(tree, list(_EVENT_NAMES))


def _hpa_to_v1(tree: Tree) -> Tree:
    tree = msgspec.json.decode(msgspec.json.encode(tree))
    spec, status = tree.get("spec", {}), tree.get("status", {})
    notes = tree["metadata"].setdefault("annotations", {})
    others = [m for m in spec.pop("metrics", None) or [] if not _take_cpu(m, spec, "averageUtilization", "targetCPUUtilizationPercentage")]
    _note(notes, _HPA_SPEC, others)
    _note(notes, _HPA_BEHAVIOR, spec.pop("behavior", None))
    current = status.pop("currentMetrics", None) or []
    rest = [m for m in current if not _take_cpu(m, status, "averageUtilization", "currentCPUUtilizationPercentage", "current")]
    _note(notes, _HPA_CURRENT, rest)
    _note(notes, _HPA_CONDITIONS, status.pop("conditions", None))
    return tree


def _take_cpu(metric: Tree, into: Tree, source: str, target: str, part: str = "target") -> bool:
    resource = metric.get("resource", {})
    if metric.get("type") != "Resource" or resource.get("name") != "cpu" or source not in resource.get(part, {}):
        return False
    into[target] = resource[part][source]
    return True


def _note(notes: Tree, name: str, value: Any) -> None:
    if value:
        notes[name] = msgspec.json.encode(value).decode()


def _hpa_to_v2(tree: Tree) -> Tree:
    tree = msgspec.json.decode(msgspec.json.encode(tree))
    spec, status = tree.get("spec", {}), tree.get("status", {})
    notes = tree.get("metadata", {}).get("annotations") or {}
    metrics = msgspec.json.decode(notes.pop(_HPA_SPEC, "[]"))
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
    if metrics:
        spec["metrics"] = metrics
    if _HPA_BEHAVIOR in notes:
        spec["behavior"] = msgspec.json.decode(notes.pop(_HPA_BEHAVIOR))
    current = msgspec.json.decode(notes.pop(_HPA_CURRENT, "[]"))
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        current.append({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}})
    if current:
        status["currentMetrics"] = current
    if _HPA_CONDITIONS in notes:
        status["conditions"] = msgspec.json.decode(notes.pop(_HPA_CONDITIONS))
    return tree


_CHANGES: dict[tuple[str, str, str, str, str], Callable[[Tree], Tree]] = {
    ("events.k8s.io", "v1", "", "v1", "Event"): _event_to_core,
    ("", "v1", "events.k8s.io", "v1", "Event"): _event_from_core,
    ("autoscaling", "v2", "autoscaling", "v1", "HorizontalPodAutoscaler"): _hpa_to_v1,
    ("autoscaling", "v1", "autoscaling", "v2", "HorizontalPodAutoscaler"): _hpa_to_v2,
}
