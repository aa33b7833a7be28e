"""RuntimeClass: a pod of a runtime class has the overhead of the class, and goes to the nodes that have it."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1, node_v1
from bareboat.models.status import Forbidden

_UNEQUAL = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"


class RuntimeClass(AdmissionPlugin):
    name = "RuntimeClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        pod = request.object
        found = self._class_of(request)
        if found is None:
            return
        if found.overhead is not None:
            if pod.spec.overhead and pod.spec.overhead != found.overhead.podFixed:
                raise Forbidden.of("pods", request.name, because=_UNEQUAL)
            pod.spec.overhead = dict(found.overhead.podFixed)
        if found.scheduling is not None:
            _merge_selector(request, found.scheduling.nodeSelector)
            pod.spec.tolerations = merged_tolerations(pod.spec.tolerations, found.scheduling.tolerations)

    async def validate(self, request: AdmissionRequest) -> None:
        """Nobody may claim an overhead that the class does not have, mutating webhooks included."""
        overhead = request.object.spec.overhead
        found = self._class_of(request)
        if found is not None and found.overhead is not None:
            if overhead != found.overhead.podFixed:
                raise Forbidden.of("pods", request.name, because=_UNEQUAL)
        elif overhead:
            because = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise Forbidden.of("pods", request.name, because=because)

    def _class_of(self, request: AdmissionRequest) -> node_v1.RuntimeClass | None:
        name = request.object.spec.runtimeClassName
        if not name:
            return None
        found = self._reader.get(node_v1.RuntimeClass, name)
        if found is None:
            raise Forbidden.of("pods", request.name, because=f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _merge_selector(request: AdmissionRequest, wanted: dict[str, str]) -> None:
    selector = request.object.spec.nodeSelector
    for key, value in wanted.items():
        if selector.get(key, value) != value:
            because = f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
            raise Forbidden.of("pods", request.name, because=because)
    request.object.spec.nodeSelector = {**selector, **wanted}


def merged_tolerations(first: list[core_v1.Toleration], second: list[core_v1.Toleration]) -> list[core_v1.Toleration]:
    """Both, each once."""
    merged: list[core_v1.Toleration] = []
    for toleration in [*first, *second]:
        if toleration not in merged:
            merged.append(toleration)
    return merged
