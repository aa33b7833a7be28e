"""PodTopologyLabels: a pod that is bound gets the zone and the region of its node as labels, for its own containers to read."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(AdmissionPlugin):
    name = "PodTopologyLabels"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and (resource, subresource) in (("pods", "binding"), ("bindings", ""))

    async def mutate(self, request: AdmissionRequest) -> None:
        node = self._reader.get(core_v1.Node, request.object.target.name)
        labels = node.metadata.labels if node is not None else {}
        found = {name: labels[name] for name in LABELS if name in labels}
        if found:
            request.object.metadata.labels = {**request.object.metadata.labels, **found}
