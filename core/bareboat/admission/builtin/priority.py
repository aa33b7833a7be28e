"""Priority: a pod's priority comes from its class, else from the global default, else it is 0."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import scheduling_v1
from bareboat.models.status import Forbidden


class Priority(AdmissionPlugin):
    name = "Priority"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._classes: dict[str, scheduling_v1.PriorityClass] = {}
        self._default: scheduling_v1.PriorityClass | None = None
        reader.subscribe(scheduling_v1.PriorityClass, self._changed)

    def _changed(self, _namespace: str, name: str) -> None:
        found = self._reader.get(scheduling_v1.PriorityClass, name)
        if found is None:
            self._classes.pop(name, None)
        else:
            self._classes[name] = found
        self._default = min((c for c in self._classes.values() if c.globalDefault), key=lambda c: c.value, default=None)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        spec = request.object.spec
        found = self._class_of(request, spec.priorityClassName)
        value = found.value if found is not None else 0
        if spec.priority is not None and spec.priority != value:
            because = (
                f"the integer value of priority ({spec.priority}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
            raise Forbidden.of("pods", request.name, because=because)
        if found is not None:
            spec.priorityClassName = found.metadata.name
        spec.priority = value
        spec.preemptionPolicy = spec.preemptionPolicy or (found.preemptionPolicy if found is not None else None) or "PreemptLowerPriority"

    def _class_of(self, request: AdmissionRequest, name: str) -> scheduling_v1.PriorityClass | None:
        if name:
            found = self._classes.get(name)
            if found is None:
                raise Forbidden.of("pods", request.name, because=f"no PriorityClass with name {name} was found")
            return found
        return self._default
