"""One decision: the node for a pod, or why there is none. Synchronous and pure but for the tie-break's random number.

Order: static facts, resources, host ports, other pods, policies' filters; then the weighted sum of scores. A node is
blamed on the first rule that refuses it, as upstream counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from bareboat.base.ids import Ids
from bareboat.contracts.scheduling import BoolArray, FloatArray, NodeArrays, PodRequest, SchedulingPolicy
from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.interpod import verdicts
from bareboat.scheduler.requests import PodUse, pod_request, ports_clash
from bareboat.scheduler.static import StaticFits


class Decision(msgspec.Struct, frozen=True):
    """``node`` "" when none fits; ``message`` then says why, in upstream's form."""

    node: str
    message: str = ""


class Placement:
    """Decides over one ``Columns``; ``policies`` with their weights come from the profile."""

    def __init__(self, columns: Columns, policies: Sequence[tuple[SchedulingPolicy, int]], ids: Ids) -> None:
        self._columns = columns
        self._policies = policies
        self._ids = ids
        self._static = StaticFits(columns)

    def decide(self, pod: core_v1.Pod, use: PodUse) -> Decision:
        count = len(self._columns)
        if count == 0:
            return Decision("", "no nodes available to schedule pods")
        nodes = self._columns.arrays()
        request = pod_request(pod, use)
        blame: Counter[str] = Counter()
        static = self._static.of(pod)
        fits = static.fits.copy()
        blame.update(static.reasons.values())
        self._resources(use, nodes, fits, blame)
        self._ports(use, fits, blame)
        for mask, reason in verdicts(pod, self._columns):
            _narrow(fits, mask, reason, blame)
        for policy, _ in self._policies:
            opinion = policy.filter(request, nodes)
            if opinion is not None:
                _narrow(fits, opinion[0], opinion[1], blame)
        if not fits.any():
            return Decision("", _explain(count, blame))
        return Decision(nodes.names[self._best(request, nodes, fits, static.preference)])

    def _resources(self, use: PodUse, nodes: NodeArrays, fits: BoolArray, blame: Counter[str]) -> None:
        enough = np.ones(len(fits), dtype=bool)
        for resource, wanted in use.requests.items():
            if wanted <= 0:
                continue
            free = nodes.allocatable.get(resource)
            mask = np.zeros(len(fits), dtype=bool) if free is None else nodes.requested[resource] + wanted <= free
            short = int((fits & ~mask).sum())
            if short:
                blame["Too many pods" if resource == "pods" else f"Insufficient {resource}"] += short
            enough &= mask
        fits &= enough

    def _ports(self, use: PodUse, fits: BoolArray, blame: Counter[str]) -> None:
        if not use.ports:
            return
        free = np.array([not ports_clash(use.ports, taken) for taken in self._columns.ports], dtype=bool)
        _narrow(fits, free, "node(s) didn't have free ports for the requested pod ports", blame)

    def _best(self, request: PodRequest, nodes: NodeArrays, fits: BoolArray, preference: FloatArray | None) -> int:
        total = np.zeros(len(fits))
        for policy, weight in self._policies:
            score = policy.score(request, nodes) if weight else None
            if score is not None:
                total += weight * score
        if preference is not None:
            total += preference
        total[~fits] = -np.inf
        best = np.flatnonzero(total == total.max())
        return int(best[int(self._ids.fraction() * len(best))])


def _narrow(fits: BoolArray, mask: BoolArray, reason: str, blame: Counter[str]) -> None:
    refused = int((fits & ~mask).sum())
    if refused:
        blame[reason] += refused
    fits &= mask


def _explain(count: int, blame: Counter[str]) -> str:
    reasons = ", ".join(sorted(f"{n} {reason}" for reason, n in blame.items()))
    return f"0/{count} nodes are available: {reasons}."
