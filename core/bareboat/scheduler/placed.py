"""A pod that takes room on a node (bound, assumed, or nominated for it), reduced to what decisions about other pods need."""

from __future__ import annotations

from collections.abc import Sequence

from bareboat.models import core_v1
from bareboat.models.meta import get_condition
from bareboat.scheduler.requests import PodUse
from bareboat.scheduler.terms import Term, preferred, required

#: Whose required affinity counts this much when a node is scored for a pod that it means.
HARD_AFFINITY_WEIGHT = 1
PREEMPTED = "PreemptionByScheduler"

#: Which list of the pod's rules a term stands in: "anti" refuses, "score" adds its weight.
Grouped = tuple[str, Term, float]


class PlacedPod:
    __slots__ = (
        "claims",
        "grouped",
        "key",
        "labels",
        "name",
        "namespace",
        "node",
        "preempted",
        "priority",
        "started",
        "terminating",
        "uid",
        "use",
    )

    def __init__(self, key: str, pod: core_v1.Pod, use: PodUse, node: str = "") -> None:
        meta = pod.metadata
        self.key, self.use = key, use
        self.namespace, self.name, self.uid, self.labels = meta.namespace, meta.name, meta.uid, meta.labels
        self.node = node or pod.spec.nodeName
        self.priority = pod.spec.priority or 0
        self.started = pod.status.startTime or ""
        self.terminating = bool(meta.deletionTimestamp)
        self.preempted = self.terminating and _preempted(pod)
        self.claims = tuple(claims_of(pod))
        self.grouped: Sequence[Grouped] = _grouped(pod) if pod.spec.affinity else ()

    @property
    def importance(self) -> tuple[int, str]:
        """Sorts the most important first: by priority, then who runs longest; who has not started counts as started now."""
        return -self.priority, self.started or "~"

    def takes_as(self, other: PlacedPod) -> bool:
        """Whether the other, a later state of the same pod, takes the same room and wants the same of others."""
        return (
            self.use is other.use
            and self.node == other.node
            and self.priority == other.priority
            and self.claims == other.claims
            and self.grouped == other.grouped
        )

    def looks_as(self, other: PlacedPod) -> bool:
        """And whether selectors mean both or none."""
        return self.terminating == other.terminating and self.labels == other.labels


def claims_of(pod: core_v1.Pod) -> list[str]:
    """Keys of the claims that the pod's volumes stand for."""
    if not pod.spec.volumes:
        return []
    namespace, name = pod.metadata.namespace, pod.metadata.name
    named = [v.persistentVolumeClaim.claimName for v in pod.spec.volumes if v.persistentVolumeClaim]
    own = [f"{name}-{v.name}" for v in pod.spec.volumes if v.ephemeral]
    return [f"{namespace}/{claim}" for claim in (*named, *own)]


def _preempted(pod: core_v1.Pod) -> bool:
    condition = get_condition(pod.status.conditions, "DisruptionTarget")
    return condition is not None and condition.status == "True" and condition.reason == PREEMPTED


def _grouped(pod: core_v1.Pod) -> list[Grouped]:
    affinity = pod.spec.affinity
    if affinity is None or not (affinity.podAffinity or affinity.podAntiAffinity):
        return []
    found: list[Grouped] = [("anti", term, 1.0) for term in required(affinity.podAntiAffinity, pod)]
    found += [("score", term, float(HARD_AFFINITY_WEIGHT)) for term in required(affinity.podAffinity, pod)]
    found += [("score", term, float(weight)) for term, weight in preferred(affinity.podAffinity, pod)]
    found += [("score", term, -float(weight)) for term, weight in preferred(affinity.podAntiAffinity, pod)]
    return found
