"""Namespace, Node, Lease, Event, ServiceAccount, PriorityClass, RuntimeClass: what the cluster itself is made of."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import immutable, invalid, required
from bareboat.api.strategy import Strategy
from bareboat.models.names import dns1123_label
from bareboat.models.status import Cause


class LeaseStrategy(PlainStrategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def validate_create(self, obj: Any) -> list[Cause]:
        seconds = obj.spec.leaseDurationSeconds
        return [invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")] if seconds is not None and seconds <= 0 else []

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class EventStrategy(PlainStrategy):
    allow_create_on_update = True
    selectable = {
        "involvedObject.kind": lambda e: e.involvedObject.kind,
        "involvedObject.namespace": lambda e: e.involvedObject.namespace,
        "involvedObject.name": lambda e: e.involvedObject.name,
        "involvedObject.uid": lambda e: e.involvedObject.uid,
        "involvedObject.apiVersion": lambda e: e.involvedObject.apiVersion,
        "involvedObject.resourceVersion": lambda e: e.involvedObject.resourceVersion,
        "involvedObject.fieldPath": lambda e: e.involvedObject.fieldPath,
        "reason": lambda e: e.reason,
        "reportingComponent": lambda e: e.reportingComponent,
        "source": lambda e: e.source.component or e.reportingComponent,
        "type": lambda e: e.type,
    }

    def validate_create(self, obj: Any) -> list[Cause]:
        wanted = obj.involvedObject.namespace
        if wanted and wanted != obj.metadata.namespace:
            return [invalid("involvedObject.namespace", wanted, "does not match event.namespace")]
        return []


class ServiceAccountStrategy(PlainStrategy):
    allow_create_on_update = False


class PriorityClassStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        obj.preemptionPolicy = obj.preemptionPolicy or "PreemptLowerPriority"

    def validate_create(self, obj: Any) -> list[Cause]:
        if obj.value > 1_000_000_000 and not obj.metadata.name.startswith("system-"):
            message = "maximum allowed value of a user defined priority is 1000000000"
            return [Cause("FieldValueForbidden", f"Forbidden: {message}", "value")]
        return []

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = [] if new.value == old.value else [Cause("FieldValueForbidden", "Forbidden: may not be changed in an update.", "value")]
        if new.preemptionPolicy != old.preemptionPolicy:
            causes.append(Cause("FieldValueForbidden", "Forbidden: field is immutable", "preemptionPolicy"))
        return causes


class RuntimeClassStrategy(KindStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        if not obj.handler:
            return [required("handler")]
        return [invalid("handler", obj.handler, fault) for fault in dns1123_label(obj.handler)]

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return immutable("handler", new.handler, old.handler)


STRATEGIES: dict[str, type[Strategy]] = {
    "coordination.k8s.io/leases": LeaseStrategy,
    "core/events": EventStrategy,
    "core/serviceaccounts": ServiceAccountStrategy,
    "scheduling.k8s.io/priorityclasses": PriorityClassStrategy,
    "node.k8s.io/runtimeclasses": RuntimeClassStrategy,
}
