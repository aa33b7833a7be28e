"""The filters in upstream's order: static facts, host ports, resources, volumes, spread, other pods, policies.

What comes in: a pod as ``Asking``, its rules compiled once. What goes out: a ``Verdict`` over all nodes. Asked again while the columns
are changed for a moment, it says what would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bareboat.contracts.scheduling import FloatArray, NodeArrays, PodRequest, SchedulingPolicy
from bareboat.models import core_v1
from bareboat.models.host_ports import ports_clash
from bareboat.models.selectors import NOTHING, Selector
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.interpod import InterPod
from bareboat.scheduler.placed import claims_of
from bareboat.scheduler.requests import PodUse, pod_request
from bareboat.scheduler.spread import Spread
from bareboat.scheduler.static import StaticFit, StaticFits
from bareboat.scheduler.storage import Storage
from bareboat.scheduler.terms import Namespaces
from bareboat.scheduler.verdict import EVERYTHING, FACTS, ROOM, Verdict
from bareboat.scheduler.volumes import NoVolumes, PodVolumes

PORTS = "node(s) didn't have free ports for the requested pod ports"


class Surroundings:
    """What a decision needs to know beside nodes and pods; empty unless a scheduler fills it."""

    def __init__(self, storage: Storage | None = None) -> None:
        #: labels of every namespace
        self.namespaces: Mapping[str, Mapping[str, str]] = {}
        self.storage = storage

    def selector_of(self, pod: core_v1.Pod) -> Selector:
        """What selects the pod's siblings, for the default spread; nothing by default."""
        del pod
        return NOTHING


class Asking:
    """A pod that wants a node."""

    __slots__ = ("interpod", "key", "pod", "priority", "request", "spread", "static", "use", "volumes")

    def __init__(self, key: str, pod: core_v1.Pod, use: PodUse, columns: Columns, static: StaticFit, around: Surroundings) -> None:
        self.key, self.pod, self.use, self.static = key, pod, use, static
        self.priority = pod.spec.priority or 0
        self.request: PodRequest = pod_request(pod, use)
        spaces: Namespaces = around.namespaces
        self.interpod = InterPod(pod, columns, spaces)
        self.spread = Spread(pod, columns, static, around.selector_of(pod))
        self.volumes = NoVolumes()
        if around.storage is not None and claims_of(pod):
            self.volumes = PodVolumes(pod, columns, around.storage)

    def plain(self) -> bool:
        """Whether only amounts decide once the static facts hold."""
        return not (self.use.ports or self.spread.required() or self.interpod.required() or self.volumes.required())


class Filters:
    def __init__(self, columns: Columns, policies: Sequence[SchedulingPolicy], around: Surroundings) -> None:
        self._columns = columns
        self._policies = [p for p in policies if type(p).filter is not SchedulingPolicy.filter]
        self._around = around
        self._static = StaticFits(columns)

    @property
    def arithmetic(self) -> bool:
        """Whether no policy refuses nodes."""
        return not self._policies

    def ask(self, key: str, pod: core_v1.Pod, use: PodUse) -> Asking:
        return Asking(key, pod, use, self._columns, self._static.of(pod), self._around)

    def run(self, asking: Asking, reserved: Mapping[str, FloatArray] | None = None) -> Verdict:
        """``reserved``: amounts to be left free beside what is requested."""
        verdict = Verdict(len(self._columns))
        nodes = self._columns.arrays()
        self._facts(asking.static, verdict)
        self._ports(asking.use, verdict)
        self._resources(asking.use, nodes, verdict, reserved or {})
        asking.volumes.narrow(verdict)
        asking.spread.narrow(verdict)
        asking.interpod.narrow(verdict)
        for policy in self._policies:
            opinion = policy.filter(asking.request, nodes)
            if opinion is not None:
                verdict.narrow(opinion[0], opinion[1], EVERYTHING)
        return verdict

    def _facts(self, static: StaticFit, verdict: Verdict) -> None:
        if static.reasons:
            verdict.blame.update(static.reasons)
            verdict.hints |= FACTS
            verdict.fits &= static.fits
            verdict.hopeless |= ~static.fits

    def _ports(self, use: PodUse, verdict: Verdict) -> None:
        if use.ports:
            free = np.array([not ports_clash(use.ports, taken) for taken in self._columns.ports], dtype=bool)
            verdict.narrow(free, PORTS, ROOM)

    def _resources(self, use: PodUse, nodes: NodeArrays, verdict: Verdict, reserved: Mapping[str, FloatArray]) -> None:
        """A node is blamed for everything that it has too little of."""
        before, nodes_there = verdict.fits.copy(), len(verdict.fits)
        for resource, wanted in use.requests.items():
            if wanted <= 0:
                continue
            offered = nodes.allocatable.get(resource)
            if offered is None:
                offered = np.zeros(nodes_there)
                enough = np.zeros(nodes_there, dtype=bool)
            else:
                taken = nodes.requested[resource] + wanted
                if resource in reserved:
                    taken += reserved[resource]
                enough = taken <= offered
            if np.count_nonzero(enough) == nodes_there:
                continue
            short = before & ~enough
            count = int(np.count_nonzero(short))
            if not count:
                continue
            reason = "Too many pods" if resource == "pods" else f"Insufficient {resource}"
            verdict.blame[reason] += count
            verdict.refusals.append((short, reason))
            verdict.hints |= ROOM
            verdict.fits &= enough
            if resource != "pods":
                verdict.hopeless |= short & (offered < wanted)
