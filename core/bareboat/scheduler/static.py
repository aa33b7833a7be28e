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
from bareboat.models.node_fit import tolerated
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.selection import selected, term_selected

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


class Taints(msgspec.Struct, frozen=True):
    """What taints say to some tolerations: where all are ``accepted``, how many make a node ``shunned``, where it is not cordoned."""

    accepted: BoolArray
    shunned: FloatArray | None
    open: BoolArray


class StaticFits:
    """The cache; at most ``size`` shapes."""

    def __init__(self, columns: Columns, size: int = 512) -> None:
        self._columns = columns
        self._size = size
        self._version = -1
        self._known: dict[bytes, StaticFit] = {}
        self._taints: dict[bytes, Taints] = {}

    def of(self, pod: core_v1.Pod) -> StaticFit:
        if self._version != self._columns.version or len(self._known) > self._size:
            self._known.clear()
            self._taints.clear()
            self._version = self._columns.version
        spec = pod.spec
        node_affinity = spec.affinity.nodeAffinity if spec.affinity else None
        shape = msgspec.json.encode([spec.nodeName, spec.nodeSelector, node_affinity, spec.tolerations])
        fit = self._known.get(shape)
        if fit is None:
            fit = self._known[shape] = self._compute(pod, node_affinity)
        return fit

    def _compute(self, pod: core_v1.Pod, affinity: core_v1.NodeAffinity | None) -> StaticFit:
        columns, spec = self._columns, pod.spec
        taints = self._taints_for(spec.tolerations)
        chosen = np.ones(len(columns), dtype=bool)
        for key, value in spec.nodeSelector.items():
            chosen &= columns.domains(key).any_of((value,))
        if affinity and affinity.requiredDuringSchedulingIgnoredDuringExecution:
            chosen &= selected(affinity.requiredDuringSchedulingIgnoredDuringExecution, columns)
        rules = [(taints.open, UNSCHEDULABLE), (self._only(spec.nodeName), NAME), (taints.accepted, TAINTED), (chosen, AFFINITY)]
        named = _named(affinity)
        if named is not None:
            rules.insert(0, (self._only(*named), NOT_NAMED))
        fits = np.ones(len(columns), dtype=bool)
        reasons: Counter[str] = Counter()
        for mask, reason in rules:
            if refused := int(np.count_nonzero(fits & ~mask)):
                reasons[reason] += refused
                fits &= mask
        wanted = np.zeros(len(columns))
        for term in affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []:
            wanted += term.weight * term_selected(term.preference, columns)
        return StaticFit(fits, reasons, chosen, taints.accepted, wanted if wanted.any() else None, taints.shunned)

    def _only(self, *names: str) -> BoolArray:
        """The named nodes; all for the name ""."""
        mask = np.full(len(self._columns), names == ("",))
        mask[[self._columns.index[name] for name in names if name in self._columns.index]] = True
        return mask

    def _taints_for(self, tolerations: list[core_v1.Toleration]) -> Taints:
        shape = msgspec.json.encode(tolerations)
        found = self._taints.get(shape)
        if found is None:
            columns, nodes = self._columns, len(self._columns)
            shunned = columns.taints.each(lambda taints: _shunned(taints, tolerations), nodes).astype(float)
            everywhere = tolerated(core_v1.Taint(key=UNSCHEDULABLE_TAINT, effect="NoSchedule"), tolerations)
            found = self._taints[shape] = Taints(
                accepted=columns.taints.each(lambda taints: _accepted(taints, tolerations), nodes),
                shunned=shunned if shunned.any() else None,
                open=np.ones(nodes, dtype=bool) if everywhere else ~columns.arrays().unschedulable,
            )
        return found


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


def _accepted(taints: list[core_v1.Taint], tolerations: list[core_v1.Toleration]) -> bool:
    return all(tolerated(t, tolerations) for t in taints if t.effect in ("NoSchedule", "NoExecute"))


def _shunned(taints: list[core_v1.Taint], tolerations: list[core_v1.Toleration]) -> int:
    return sum(1 for t in taints if t.effect == "PreferNoSchedule" and not tolerated(t, tolerations))
