"""Pods and pod templates: defaults, quality of service, grace, what an update may change."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import forbidden, plain
from bareboat.api.kinds.pod_defaults import default_pod_spec
from bareboat.api.kinds.pod_validation import validate_pod_spec
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.codec import copy, to_tree
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_COMPUTE = ("cpu", "memory")
_SPEC_FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def qos_class(spec: Any) -> str:
    """Guaranteed, Burstable or BestEffort from the containers' cpu and memory (KEP-free: upstream's qos rules)."""
    requests, limits = False, True
    equal = True
    for container in [*spec.containers, *spec.initContainers]:
        asked = {k: v for k, v in container.resources.requests.items() if k in _COMPUTE and Quantity.parse(v).milli()}
        bound = {k: v for k, v in container.resources.limits.items() if k in _COMPUTE and Quantity.parse(v).milli()}
        requests = requests or bool(asked) or bool(bound)
        limits = limits and len(bound) == len(_COMPUTE)
        equal = equal and all(Quantity.parse(asked.get(k, v)) == Quantity.parse(v) for k, v in bound.items())
    if not requests:
        return "BestEffort"
    return "Guaranteed" if limits and equal else "Burstable"


class PodStatus(SubresourceStrategy):
    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        super().prepare_update(new, old, ctx)
        new.metadata.deletionTimestamp = old.metadata.deletionTimestamp
        new.status.qosClass = old.status.qosClass


class EphemeralContainers(SubresourceStrategy):
    """Adds debug containers; nothing else, and none is ever taken away."""

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        added = new.spec.ephemeralContainers
        labels = new.metadata
        new.spec = copy(old.spec)
        new.status = old.status
        new.metadata = copy(old.metadata)
        new.metadata.managedFields = labels.managedFields
        new.spec.ephemeralContainers = added
        if added != old.spec.ephemeralContainers:
            new.metadata.generation += 1

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        kept = new.spec.ephemeralContainers[: len(old.spec.ephemeralContainers)]
        if kept != old.spec.ephemeralContainers:
            return [forbidden("spec.ephemeralContainers", "existing ephemeral containers may not be changed or removed")]
        return validate_pod_spec(new.spec, "spec")


class Resize(SubresourceStrategy):
    """Changes the resources of containers in place."""

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        wanted = {c.name: c.resources for c in [*new.spec.containers, *new.spec.initContainers]}
        new.spec = copy(old.spec)
        new.status = old.status
        new.metadata = copy(old.metadata)
        for container in [*new.spec.containers, *new.spec.initContainers]:
            container.resources = wanted.get(container.name, container.resources)
        if new.spec != old.spec:
            new.metadata.generation += 1

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        if qos_class(new.spec) != qos_class(old.spec):
            return [forbidden("spec", "Pod QOS Class may not change as a result of resizing")]
        return validate_pod_spec(new.spec, "spec")


class PodStrategy(KindStrategy):
    graceful = True
    subresources = {"status": PodStatus(), "ephemeralcontainers": EphemeralContainers(), "resize": Resize()}
    selectable = {
        "spec.nodeName": lambda pod: pod.spec.nodeName,
        "spec.restartPolicy": lambda pod: pod.spec.restartPolicy,
        "spec.schedulerName": lambda pod: pod.spec.schedulerName,
        "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName,
        "spec.hostNetwork": lambda pod: "true" if pod.spec.hostNetwork else "false",
        "status.phase": lambda pod: pod.status.phase,
        "status.podIP": lambda pod: pod.status.podIP,
        "status.nominatedNodeName": lambda pod: pod.status.nominatedNodeName,
    }

    def default(self, obj: Any) -> None:
        default_pod_spec(obj.spec)
        if obj.spec.enableServiceLinks is None:
            obj.spec.enableServiceLinks = True

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.metadata.generation = 1
        obj.status = core_v1.PodStatus(phase="Pending", qosClass=qos_class(obj.spec))
        if obj.spec.schedulingGates:
            message = "Scheduling is blocked due to non-empty scheduling gates"
            obj.status.conditions = [core_v1.PodCondition(type="PodScheduled", status="False", reason="SchedulingGated", message=message)]

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_pod_spec(obj.spec, "spec")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        if _masked(new.spec, old.spec) != old.spec:
            return [Cause("FieldValueForbidden", f"Forbidden: {_SPEC_FORBIDDEN}\n{_diff(new.spec, old.spec)}", "spec")]
        return validate_pod_spec(new.spec, "spec")

    def grace_seconds(self, obj: Any, requested: int | None) -> int:
        if not obj.spec.nodeName or obj.status.phase in ("Succeeded", "Failed"):
            return 0
        if requested is not None:
            return max(requested, 0)
        wanted = obj.spec.terminationGracePeriodSeconds
        return 30 if wanted is None else max(wanted, 1) if wanted < 0 else wanted


def _masked(new: Any, old: Any) -> Any:
    """``new`` with everything that may change put back; equal to ``old`` if nothing else was touched."""
    spec = copy(new)
    images = {c.name: c.image for c in [*old.containers, *old.initContainers]}
    for container in [*spec.containers, *spec.initContainers]:
        container.image = images.get(container.name, container.image)
    spec.activeDeadlineSeconds = old.activeDeadlineSeconds
    if all(t in new.tolerations for t in old.tolerations):
        spec.tolerations = old.tolerations
    if old.schedulingGates and all(g in old.schedulingGates for g in new.schedulingGates):
        spec.schedulingGates = old.schedulingGates
        spec.nodeSelector, spec.affinity = old.nodeSelector, old.affinity
    return spec


def _diff(new: Any, old: Any) -> str:
    """The fields that differ, as a hint for people."""
    before, after = to_tree(old), to_tree(new)
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    return "changed: " + ", ".join(changed) if changed else str(plain(new))


class PodTemplateStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        default_pod_spec(obj.template.spec)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.metadata.generation = 1

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.metadata.generation = old.metadata.generation + (new.template != old.template)


STRATEGIES: dict[str, type[Strategy]] = {"core/pods": PodStrategy, "core/podtemplates": PodTemplateStrategy}
