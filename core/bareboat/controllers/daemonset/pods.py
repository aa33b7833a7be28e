"""The daemon pod of a node, and whether a node should have one. Pure functions."""

from __future__ import annotations

from typing import Any, NamedTuple

from bareboat.controllers.daemonset.nodes import NodeView
from bareboat.controllers.pods import pod_from_template
from bareboat.controllers.revisions import POD_REVISION
from bareboat.models import core_v1
from bareboat.models.codec import copy
from bareboat.models.node_fit import matches_node, tolerated
from bareboat.models.scheme import Resource

GENERATION = "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_NAME_FIELD = "metadata.name"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class Fit(NamedTuple):
    """``run``: a pod belongs there. ``stay``: one that is there may stay."""

    run: bool
    stay: bool


def tolerations(spec: core_v1.PodSpec) -> list[core_v1.Toleration]:
    """The template's own and those that every daemon has: trouble of the node is no reason to leave it."""
    added = [*_TOLERATED, *([("node.kubernetes.io/network-unavailable", "NoSchedule")] if spec.hostNetwork else [])]
    own = [t for t in spec.tolerations if not (t.operator == "Exists" and (t.key, t.effect) in added)]
    return [*own, *(core_v1.Toleration(key=k, operator="Exists", effect=e) for k, e in added)]


def fit(daemons: Any, node: NodeView, tolerances: list[core_v1.Toleration]) -> Fit:
    spec = daemons.spec.template.spec
    if spec.nodeName and spec.nodeName != node.metadata.name:
        return Fit(False, False)
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    if not matches_node(spec.nodeSelector, affinity, node):
        return Fit(False, False)
    untolerated = {t.effect for t in node.spec.taints if not tolerated(t, tolerances)}
    if untolerated & {"NoSchedule", "NoExecute"}:
        return Fit(False, "NoExecute" not in untolerated)
    return Fit(True, True)


def make_pod(daemons: Any, resource: Resource, node: str, revision: str) -> core_v1.Pod:
    """Bound to its node by affinity, so that the scheduler looks after room and volumes."""
    pod = pod_from_template(daemons.spec.template, daemons, resource)
    generation = daemons.metadata.annotations.get(TEMPLATE_GENERATION)
    marks = {POD_REVISION: revision, **({GENERATION: generation} if generation is not None else {})}
    pod.metadata.labels = {**pod.metadata.labels, **marks}
    pod.spec.tolerations = tolerations(pod.spec)
    pod.spec.affinity = _at(pod.spec.affinity, node)
    return pod


def _at(affinity: core_v1.Affinity | None, node: str) -> core_v1.Affinity:
    found = copy(affinity) if affinity is not None else core_v1.Affinity()
    found.nodeAffinity = found.nodeAffinity or core_v1.NodeAffinity()
    field = core_v1.NodeSelectorRequirement(key=_NAME_FIELD, operator="In", values=[node])
    term = core_v1.NodeSelectorTerm(matchFields=[field])
    found.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = core_v1.NodeSelector(nodeSelectorTerms=[term])
    return found


def node_of(pod: core_v1.Pod) -> str:
    """The node that the pod is on or made for; "" for neither."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    for term in required.nodeSelectorTerms if required is not None else ():
        for field in term.matchFields:
            if field.key == _NAME_FIELD and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def is_updated(daemons: Any, pod: core_v1.Pod, revision: str) -> bool:
    labels = pod.metadata.labels
    generation = daemons.metadata.annotations.get(TEMPLATE_GENERATION)
    return labels.get(POD_REVISION) == revision or (generation is not None and labels.get(GENERATION) == generation)
