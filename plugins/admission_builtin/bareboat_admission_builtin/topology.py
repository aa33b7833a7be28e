"""Where pods are: a bound pod gets the zone and region of its node as labels; how far its anti-affinity may reach can be limited."""

from __future__ import annotations

import msgspec

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import Forbidden

HOST = "kubernetes.io/hostname"
LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class _Labelled(msgspec.Struct):
    labels: dict[str, str] = {}


class _Node(msgspec.Struct):
    """What of a node concerns its pods: the rest is not decoded."""

    metadata: _Labelled = msgspec.field(default_factory=_Labelled)


class PodTopologyLabels(AdmissionPlugin):
    name = "PodTopologyLabels"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and (resource, subresource) in (("pods", "binding"), ("bindings", ""))

    async def mutate(self, request: AdmissionRequest) -> None:
        node = self._reader.view(core_v1.Node, _Node, request.object.target.name)
        labels = node.metadata.labels if node is not None else {}
        found = {name: labels[name] for name in LABELS if name in labels}
        if found:
            request.object.metadata.labels = {**request.object.metadata.labels, **found}


class LimitPodHardAntiAffinityTopology(AdmissionPlugin):
    """Off by default: a pod may keep others from its host, not from a whole zone."""

    name = "LimitPodHardAntiAffinityTopology"

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and not subresource

    async def validate(self, request: AdmissionRequest) -> None:
        affinity = request.object.spec.affinity
        if affinity is None or affinity.podAntiAffinity is None:
            return
        for term in affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution:
            if term.topologyKey != HOST:
                because = (
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {term.topologyKey} but only key {HOST} is allowed"
                )
                raise Forbidden.of("pods", request.name, because=because)
