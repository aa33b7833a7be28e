"""Where a pod may run by the static facts of nodes: name, unschedulable, taints, node selector and affinity.

Cached per shape of pod (pods of one template share it) until a node's static facts change. Reasons are upstream's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray
from bareboat.models import core_v1
from bareboat.models.node_fit import matches_node, term_matches, tolerated
from bareboat.scheduler.columns import Columns

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
NAME = "node(s) didn't match the requested node name"
UNSCHEDULABLE = "node(s) were unschedulable"
TAINTED = "node(s) had untolerated taint(s)"
AFFINITY = "node(s) didn't match Pod's node affinity/selector"
NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"


class StaticFit(msgspec.Struct, frozen=True):
    """``fits`` per node, ``reasons`` of the others; where ``selected`` by affinity, where taints are ``tolerated``.

    ``wanted``: weights of preferred terms; ``shunned``: PreferNoSchedule taints not tolerated; None if 0 everywhere.
    """

    fits: BoolArray
    reasons: Mapping[str, int]
    selected: BoolArray
    tolerated: BoolArray
    wanted: FloatArray | None
    shunned: FloatArray | None


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
        nodes = self._columns.nodes
        tolerations = pod.spec.tolerations
        named = _named(affinity)
        selected = np.array([matches_node(pod.spec.nodeSelector, affinity, node) for node in nodes], dtype=bool)
        accepted = np.array([_accepted(node, tolerations) for node in nodes], dtype=bool)
        found = [_misfit(pod, named, node, bool(accepted[i]), bool(selected[i])) for i, node in enumerate(nodes)]
        wanted = np.array([_wanted(affinity, node) for node in nodes], dtype=float)
        shunned = np.array([_shunned(node, tolerations) for node in nodes], dtype=float)
        return StaticFit(
            fits=np.array([not reason for reason in found], dtype=bool),
            reasons=Counter(reason for reason in found if reason),
            selected=selected,
            tolerated=accepted,
            wanted=wanted if wanted.any() else None,
            shunned=shunned if shunned.any() else None,
        )


def _misfit(pod: core_v1.Pod, named: frozenset[str] | None, node: core_v1.Node, accepted: bool, selected: bool) -> str:
    if named is not None and node.metadata.name not in named:
        return NOT_NAMED
    if node.spec.unschedulable and not tolerated(core_v1.Taint(key=UNSCHEDULABLE_TAINT, effect="NoSchedule"), pod.spec.tolerations):
        return UNSCHEDULABLE
    if pod.spec.nodeName and pod.spec.nodeName != node.metadata.name:
        return NAME
    if not accepted:
        return TAINTED
    return "" if selected else AFFINITY


def _named(affinity: core_v1.NodeAffinity | None) -> frozenset[str] | None:
    """The nodes that required affinity names, if every term does; None for all."""
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    if required is None or not required.nodeSelectorTerms:
        return None
    names: set[str] = set()
    for term in required.nodeSelectorTerms:
        sets = [set(r.values) for r in term.matchFields if r.key == "metadata.name" and r.operator == "In"]
        if not sets:
            return None
        names |= set.intersection(*sets)
    return frozenset(names)


def _accepted(node: core_v1.Node, tolerations: list[core_v1.Toleration]) -> bool:
    return all(tolerated(t, tolerations) for t in node.spec.taints if t.effect in ("NoSchedule", "NoExecute"))


def _wanted(affinity: core_v1.NodeAffinity | None, node: core_v1.Node) -> int:
    preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []
    return sum(term.weight for term in preferred if term_matches(term.preference, node))


def _shunned(node: core_v1.Node, tolerations: list[core_v1.Toleration]) -> int:
    return sum(1 for t in node.spec.taints if t.effect == "PreferNoSchedule" and not tolerated(t, tolerations))
