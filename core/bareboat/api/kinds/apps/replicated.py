"""Deployment, ReplicaSet and ReplicationController: any number of like pods."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.apps.templates import MISMATCH, always_running, shared_disks, validate_own_selector, validate_selected_template
from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import (
    amount,
    at_most_all,
    forbidden,
    immutable,
    int_or_percent,
    invalid,
    non_negative,
    required,
    unsupported,
)
from bareboat.api.kinds.core.pod_defaults import default_pod_spec
from bareboat.api.kinds.core.pod_spec import validate_template
from bareboat.api.kinds.core.pod_warnings import pod_warnings
from bareboat.api.strategy import Strategy, SubresourceStrategy
from bareboat.models import apps_v1
from bareboat.models.status import Cause

_NOT_MORE = "cannot be greater than status.replicas"


class CountedStatus(SubresourceStrategy):
    """Counts of replicas that fit together."""

    counts: tuple[str, ...] = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    parts: tuple[str, ...] = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        status = new.status
        causes = [cause for name in self.counts for cause in non_negative(f"status.{name}", getattr(status, name))]
        for name in self.parts:
            if getattr(status, name) > status.replicas:
                causes.append(invalid(f"status.{name}", getattr(status, name), _NOT_MORE))
        if status.availableReplicas > status.readyReplicas:
            causes.append(invalid("status.availableReplicas", status.availableReplicas, "cannot be greater than readyReplicas"))
        return causes


class DeploymentStatus(CountedStatus):
    kept_metadata = ("labels",)
    reset_fields = ("spec", "metadata.labels")
    counts = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
    parts = ("updatedReplicas", "readyReplicas", "availableReplicas")


class Workload(KindStrategy):
    """Replicas and a template."""

    kind = "ReplicaSet"

    def default(self, obj: Any) -> None:
        if obj.spec.replicas is None:
            obj.spec.replicas = 1
        default_pod_spec(obj.spec.template.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = non_negative("spec.replicas", spec.replicas) + non_negative("spec.minReadySeconds", spec.minReadySeconds)
        causes += validate_own_selector(spec.selector, "spec.selector", "deployment")
        causes += validate_selected_template(spec.template, spec.selector, "spec", self.kind)
        if spec.replicas > 1:
            causes += shared_disks(spec.template.spec.volumes, "spec.template.spec.volumes")
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.selector", new.spec.selector, old.spec.selector)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return pod_warnings(obj.spec.template.metadata, obj.spec.template.spec, "spec.template.spec")


class ReplicaSetStrategy(Workload):
    subresources = {"status": CountedStatus()}
    selectable = {"status.replicas": lambda rs: str(rs.status.replicas)}

    def default(self, obj: Any) -> None:
        super().default(obj)


class DeploymentStrategy(Workload):
    subresources = {"status": DeploymentStatus()}

    def default(self, obj: Any) -> None:
        super().default(obj)
        spec = obj.spec
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        if spec.progressDeadlineSeconds is None:
            spec.progressDeadlineSeconds = 600
        spec.strategy.type = spec.strategy.type or "RollingUpdate"
        if spec.strategy.type == "RollingUpdate":
            rolling = spec.strategy.rollingUpdate = spec.strategy.rollingUpdate or apps_v1.RollingUpdateDeployment()
            rolling.maxUnavailable = "25%" if rolling.maxUnavailable is None else rolling.maxUnavailable
            rolling.maxSurge = "25%" if rolling.maxSurge is None else rolling.maxSurge

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = super().validate_create(obj) + _strategy(spec.strategy, "spec.strategy")
        causes += non_negative("spec.revisionHistoryLimit", spec.revisionHistoryLimit)
        deadline = spec.progressDeadlineSeconds
        causes += non_negative("spec.progressDeadlineSeconds", deadline)
        if deadline is not None and deadline <= spec.minReadySeconds:
            causes.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
        return causes


def _strategy(strategy: Any, at: str) -> list[Cause]:
    rolling = strategy.rollingUpdate
    if strategy.type == "Recreate":
        message = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{at}.rollingUpdate", message)] if rolling is not None else []
    if strategy.type != "RollingUpdate":
        return [unsupported(at, strategy, ("Recreate", "RollingUpdate"))]
    causes = int_or_percent(f"{at}.rollingUpdate.maxUnavailable", rolling.maxUnavailable)
    causes += int_or_percent(f"{at}.rollingUpdate.maxSurge", rolling.maxSurge)
    if amount(rolling.maxUnavailable) == 0 and amount(rolling.maxSurge) == 0:
        causes.append(invalid(f"{at}.rollingUpdate.maxUnavailable", rolling.maxUnavailable, "may not be 0 when `maxSurge` is 0"))
    return causes + at_most_all(f"{at}.rollingUpdate.maxUnavailable", rolling.maxUnavailable)


class ReplicationControllerStrategy(KindStrategy):
    subresources = {"status": CountedStatus()}
    selectable = {"status.replicas": lambda rc: str(rc.status.replicas)}
    orphans = True

    def default(self, obj: Any) -> None:
        spec = obj.spec
        labels = spec.template.metadata.labels if spec.template is not None else {}
        spec.selector = spec.selector or dict(labels)
        obj.metadata.labels = obj.metadata.labels or dict(labels)
        if spec.replicas is None:
            spec.replicas = 1
        if spec.template is not None:
            default_pod_spec(spec.template.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec, template = obj.spec, obj.spec.template
        causes = non_negative("spec.minReadySeconds", spec.minReadySeconds)
        if not spec.selector:
            causes.append(required("spec.selector"))
        causes += non_negative("spec.replicas", spec.replicas)
        if template is None:
            return [*causes, required("spec.template")]
        labels = template.metadata.labels
        if any(labels.get(k) != v for k, v in spec.selector.items()):
            causes.append(invalid("spec.template.metadata.labels", labels or None, MISMATCH))
        causes += validate_template(template, "spec.template")
        if spec.replicas > 1:
            causes += shared_disks(template.spec.volumes, "spec.template.spec.volumes")
        return causes + always_running(template, "spec.template", "ReplicationController")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return pod_warnings(obj.spec.template.metadata, obj.spec.template.spec, "spec.template.spec") if obj.spec.template else []


STRATEGIES: dict[str, type[Strategy]] = {
    "apps/deployments": DeploymentStrategy,
    "apps/replicasets": ReplicaSetStrategy,
    "core/replicationcontrollers": ReplicationControllerStrategy,
}
