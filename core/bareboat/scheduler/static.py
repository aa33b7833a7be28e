"""Where a pod may run by the static facts of nodes: name, unschedulable, taints, node selector and affinity.

Cached per shape of pod (pods of one template share it) until a node's static facts change. Reasons are upstream's words.
"""

from __future__ import annotations

import msgspec
import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray
from bareboat.models import core_v1
from bareboat.models.node_fit import matches_node, term_matches, tolerated
from bareboat.scheduler.columns import Columns

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"


class StaticFit(msgspec.Struct, frozen=True):
    """``fits`` per node; ``reasons`` the first reason of each node that does not; ``preference`` 0..100 per node."""

    fits: BoolArray
    reasons: dict[int, str]
    preference: FloatArray | None


class StaticFits:
    """The cache; at most ``size`` shapes."""

    def __init__(self, columns: Columns, size: int = 512) -> None:
        self._columns = columns
        self._size = size
        self._version = -1
        self._known: dict[bytes, StaticFit] = {}

    def of(self, pod: core_v1.Pod) -> StaticFit:
        if self._version != self._columns.version or len(self._known) > self._size:
            self._known.clear()
            self._version = self._columns.version
        spec = pod.spec
        node_affinity = spec.affinity.nodeAffinity if spec.affinity else None
        shape = msgspec.json.encode([spec.nodeName, spec.nodeSelector, node_affinity, spec.tolerations])
        fit = self._known.get(shape)
        if fit is None:
            fit = self._known[shape] = self._compute(pod, node_affinity)
        return fit

    def _compute(self, pod: core_v1.Pod, affinity: core_v1.NodeAffinity | None) -> StaticFit:
        count = len(self._columns)
        fits = np.ones(count, dtype=bool)
        reasons: dict[int, str] = {}
        preference = np.zeros(count)
        for i, node in enumerate(self._columns.nodes):
            reason = _misfit(pod, affinity, node)
            if reason:
                fits[i] = False
                reasons[i] = reason
            else:
                preference[i] = _preference(pod, affinity, node)
        top = float(preference.max(initial=0.0))
        low = float(preference.min(initial=0.0))
        scaled = None if top == low else (preference - low) * (100.0 / (top - low))
        return StaticFit(fits, reasons, scaled)


def _misfit(pod: core_v1.Pod, affinity: core_v1.NodeAffinity | None, node: core_v1.Node) -> str:
    spec = pod.spec
    if spec.nodeName and spec.nodeName != node.metadata.name:
        return "node(s) didn't match the requested node name"
    unschedulable = core_v1.Taint(key=UNSCHEDULABLE_TAINT, effect="NoSchedule")
    if node.spec.unschedulable and not tolerated(unschedulable, spec.tolerations):
        return "node(s) were unschedulable"
    for taint in node.spec.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not tolerated(taint, spec.tolerations):
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    if not matches_node(spec.nodeSelector, affinity, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def _preference(pod: core_v1.Pod, affinity: core_v1.NodeAffinity | None, node: core_v1.Node) -> float:
    """Weights of matching preferred terms, less ten for every PreferNoSchedule taint that is not tolerated."""
    preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []
    wanted = sum(term.weight for term in preferred if term_matches(term.preference, node))
    shunned = sum(1 for t in node.spec.taints if t.effect == "PreferNoSchedule" and not tolerated(t, pod.spec.tolerations))
    return float(wanted - 10 * shunned)
