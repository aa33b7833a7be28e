"""Lease, ServiceAccount, PriorityClass, RuntimeClass: small kinds that the cluster itself uses."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import choice, forbidden, immutable, invalid, named, non_negative
from bareboat.api.kinds.core.pod_spec import validate_tolerations
from bareboat.api.kinds.core.resources import container_resource_name, quantity
from bareboat.api.kinds.metadata import validate_labels
from bareboat.api.strategy import Strategy
from bareboat.models.names import dns1123_label
from bareboat.models.status import Cause

_HIGHEST = 1_000_000_000
_SYSTEM = {"system-node-critical": 2 * _HIGHEST + 1000, "system-cluster-critical": 2 * _HIGHEST}


class LeaseStrategy(PlainStrategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        seconds = spec.leaseDurationSeconds
        causes: list[Cause] = []
        if seconds is not None and seconds <= 0:
            causes.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        causes += non_negative("spec.leaseTransitions", spec.leaseTransitions)
        if spec.preferredHolder and not spec.strategy:
            causes.append(forbidden("spec.preferredHolder", "may only be specified when `strategy` is defined"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class ServiceAccountStrategy(PlainStrategy):
    allow_create_on_update = False

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        name = "kubernetes.io/enforce-mountable-secrets"
        if old is None and name in obj.metadata.annotations:
            message = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
            return [f"metadata.annotations[{name}]: {message}"]
        return []


class PriorityClassStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        obj.preemptionPolicy = "PreemptLowerPriority" if obj.preemptionPolicy is None else obj.preemptionPolicy

    def validate_create(self, obj: Any) -> list[Cause]:
        name = obj.metadata.name
        causes: list[Cause] = []
        if name.startswith("system-"):
            if _SYSTEM.get(name) != obj.value:
                because = "priority class names with 'system-' prefix are reserved for system use only"
                causes.append(forbidden("metadata.name", f"{because}. error: {name} is not a known system priority class"))
        elif obj.value > _HIGHEST:
            causes.append(forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}"))
        return causes + choice("preemptionPolicy", obj.preemptionPolicy, ("Never", "PreemptLowerPriority"))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = [] if new.value == old.value else [forbidden("value", "may not be changed in an update.")]
        return causes + immutable("preemptionPolicy", new.preemptionPolicy, old.preemptionPolicy)


class RuntimeClassStrategy(PlainStrategy):
    allow_unconditional_update = False

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _handler(obj.handler)
        if obj.overhead is not None:
            for name, value in obj.overhead.podFixed.items():
                field = f"overhead.podFixed[{name}]"
                causes += container_resource_name(field, name) + quantity(field, name, value)
        if obj.scheduling is not None:
            causes += validate_labels(obj.scheduling.nodeSelector, "scheduling.nodeSelector")
            causes += validate_tolerations(obj.scheduling.tolerations, "scheduling.tolerations")
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return _handler(new.handler) + immutable("handler", new.handler, old.handler)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return []


def _handler(name: str) -> list[Cause]:
    return named("handler", name, dns1123_label)


STRATEGIES: dict[str, type[Strategy]] = {
    "coordination.k8s.io/leases": LeaseStrategy,
    "core/serviceaccounts": ServiceAccountStrategy,
    "scheduling.k8s.io/priorityclasses": PriorityClassStrategy,
    "node.k8s.io/runtimeclasses": RuntimeClassStrategy,
}
