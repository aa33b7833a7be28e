"""Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import forbidden, immutable, invalid, non_negative, one_of, required, unsupported
from bareboat.api.kinds.metadata import validate_labels
from bareboat.api.kinds.pod_defaults import default_pod_spec
from bareboat.api.kinds.pod_validation import validate_pod_spec
from bareboat.api.strategy import Strategy
from bareboat.models import apps_v1
from bareboat.models.names import percent
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import Cause


def validate_selector(selector: Any, at: str) -> list[Cause]:
    """A label selector's own rules."""
    causes = validate_labels(selector.matchLabels, f"{at}.matchLabels")
    for i, requirement in enumerate(selector.matchExpressions):
        where = f"{at}.matchExpressions[{i}]"
        if requirement.operator in ("In", "NotIn") and not requirement.values:
            causes.append(required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif requirement.operator in ("Exists", "DoesNotExist") and requirement.values:
            causes.append(forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        elif requirement.operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            causes.append(invalid(f"{where}.operator", requirement.operator, "not a valid selector operator"))
    return causes


def _empty(selector: Any) -> bool:
    return selector is None or (not selector.matchLabels and not selector.matchExpressions)


def validate_template(template: Any, selector: Any, at: str, policies: tuple[str, ...] = ("Always",)) -> list[Cause]:
    """Pod template, its labels against the selector, and the restart policies that the kind allows."""
    causes: list[Cause] = []
    usable = selector is not None and not _empty(selector) and not validate_selector(selector, at)
    if usable and not from_label_selector(selector).matches(template.metadata.labels):
        causes.append(invalid(f"{at}.metadata.labels", template.metadata.labels, "`selector` does not match template `labels`"))
    causes += validate_labels(template.metadata.labels, f"{at}.metadata.labels")
    causes += validate_pod_spec(template.spec, f"{at}.spec")
    if template.spec.restartPolicy not in policies:
        causes.append(unsupported(f"{at}.spec.restartPolicy", template.spec.restartPolicy, policies))
    if template.spec.activeDeadlineSeconds is not None and policies == ("Always",):
        causes.append(forbidden(f"{at}.spec.activeDeadlineSeconds", "activeDeadlineSeconds in this kind is not Supported"))
    return causes


def _selector(spec: Any, at: str) -> list[Cause]:
    if spec.selector is None:
        return [required(f"{at}.selector")]
    if _empty(spec.selector):
        return [invalid(f"{at}.selector", {}, "empty selector is invalid for deployment")]
    return validate_selector(spec.selector, f"{at}.selector")


def _int_or_percent(value: Any, field: str) -> list[Cause]:
    if isinstance(value, int):
        return non_negative(field, value)
    return [invalid(field, value, fault) for fault in percent(str(value))]


class Workload(KindStrategy):
    """Replicas and a template."""

    def default(self, obj: Any) -> None:
        if obj.spec.replicas is None:
            obj.spec.replicas = 1
        default_pod_spec(obj.spec.template.spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = non_negative("spec.replicas", spec.replicas) + _selector(spec, "spec")
        return causes + validate_template(spec.template, spec.selector, "spec.template") + self.validate_more(spec)

    def validate_more(self, spec: Any) -> list[Cause]:
        return non_negative("spec.minReadySeconds", spec.minReadySeconds)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.selector", new.spec.selector, old.spec.selector)


class DeploymentStrategy(Workload):
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

    def validate_more(self, spec: Any) -> list[Cause]:
        causes = super().validate_more(spec) + non_negative("spec.revisionHistoryLimit", spec.revisionHistoryLimit)
        causes += non_negative("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds)
        causes += one_of("spec.strategy.type", spec.strategy.type, ("Recreate", "RollingUpdate"))
        rolling = spec.strategy.rollingUpdate
        if spec.strategy.type == "Recreate" and rolling is not None:
            causes.append(forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"))
        elif rolling is not None:
            for name in ("maxUnavailable", "maxSurge"):
                causes += _int_or_percent(getattr(rolling, name), f"spec.strategy.rollingUpdate.{name}")
            if rolling.maxUnavailable in (0, "0%") and rolling.maxSurge in (0, "0%"):
                message = "may not be 0 when `maxSurge` is 0"
                causes.append(invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling.maxUnavailable, message))
        if spec.progressDeadlineSeconds is not None and spec.progressDeadlineSeconds <= spec.minReadySeconds:
            causes.append(invalid("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds, "must be greater than minReadySeconds"))
        return causes


class ReplicaSetStrategy(Workload):
    selectable = {"status.replicas": lambda rs: str(rs.status.replicas)}


class StatefulSetStrategy(Workload):
    def default(self, obj: Any) -> None:
        super().default(obj)
        spec = obj.spec
        spec.podManagementPolicy = spec.podManagementPolicy or "OrderedReady"
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        spec.updateStrategy.type = spec.updateStrategy.type or "RollingUpdate"
        if spec.updateStrategy.type == "RollingUpdate":
            rolling = spec.updateStrategy.rollingUpdate = spec.updateStrategy.rollingUpdate or apps_v1.RollingUpdateStatefulSetStrategy()
            rolling.partition = rolling.partition or 0
        retention = spec.persistentVolumeClaimRetentionPolicy
        retention = retention or apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy()
        retention.whenDeleted = retention.whenDeleted or "Retain"
        retention.whenScaled = retention.whenScaled or "Retain"
        spec.persistentVolumeClaimRetentionPolicy = retention
        for claim in spec.volumeClaimTemplates:
            claim.spec.volumeMode = claim.spec.volumeMode or "Filesystem"
            claim.status.phase = claim.status.phase or "Pending"
            claim.apiVersion, claim.kind = "v1", "PersistentVolumeClaim"

    def validate_more(self, spec: Any) -> list[Cause]:
        causes = super().validate_more(spec)
        causes += one_of("spec.podManagementPolicy", spec.podManagementPolicy, ("OrderedReady", "Parallel"))
        if spec.updateStrategy.type not in ("OnDelete", "RollingUpdate"):
            causes.append(invalid("spec.updateStrategy", {"type": spec.updateStrategy.type}, "must be 'RollingUpdate' or 'OnDelete'"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        from bareboat.models.codec import copy

        masked = copy(new.spec)
        for field in (
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ):
            setattr(masked, field, getattr(old.spec, field))
        if masked != old.spec:
            message = (
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
            )
            return [forbidden("spec", message)]
        return self.validate_create(new)


class DaemonSetStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        spec.updateStrategy.type = spec.updateStrategy.type or "RollingUpdate"
        if spec.updateStrategy.type == "RollingUpdate":
            rolling = spec.updateStrategy.rollingUpdate = spec.updateStrategy.rollingUpdate or apps_v1.RollingUpdateDaemonSet()
            rolling.maxUnavailable = 1 if rolling.maxUnavailable is None else rolling.maxUnavailable
            rolling.maxSurge = 0 if rolling.maxSurge is None else rolling.maxSurge

    def prepare_create(self, obj: Any, ctx: Any) -> None:
        super().prepare_create(obj, ctx)
        obj.metadata.annotations = {**obj.metadata.annotations, "deprecated.daemonset.template.generation": "1"}

    def prepare_update(self, new: Any, old: Any, ctx: Any) -> None:
        super().prepare_update(new, old, ctx)
        name = "deprecated.daemonset.template.generation"
        before = int(old.metadata.annotations.get(name, "0") or 0)
        now = before + 1 if new.spec.template != old.spec.template else before
        new.metadata.annotations = {**new.metadata.annotations, name: str(now)}

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = _selector(spec, "spec") + validate_template(spec.template, spec.selector, "spec.template")
        causes += non_negative("spec.minReadySeconds", spec.minReadySeconds)
        return causes + one_of("spec.updateStrategy.type", spec.updateStrategy.type, ("OnDelete", "RollingUpdate"))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.selector", new.spec.selector, old.spec.selector)


class ReplicationControllerStrategy(KindStrategy):
    selectable = {"status.replicas": lambda rc: str(rc.status.replicas)}

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
        spec = obj.spec
        causes = non_negative("spec.replicas", spec.replicas)
        if not spec.selector:
            causes.append(required("spec.selector"))
        if spec.template is None:
            return [*causes, required("spec.template")]
        if any(spec.template.metadata.labels.get(k) != v for k, v in spec.selector.items()):
            labels = spec.template.metadata.labels
            causes.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
        return causes + validate_template(spec.template, None, "spec.template")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


STRATEGIES: dict[str, type[Strategy]] = {
    "apps/deployments": DeploymentStrategy,
    "apps/replicasets": ReplicaSetStrategy,
    "apps/statefulsets": StatefulSetStrategy,
    "apps/daemonsets": DaemonSetStrategy,
    "core/replicationcontrollers": ReplicationControllerStrategy,
}
