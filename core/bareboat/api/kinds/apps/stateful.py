"""StatefulSet, DaemonSet and ControllerRevision."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.apps.replicated import CountedStatus
from bareboat.api.kinds.apps.templates import (
    always_running,
    matching_labels,
    shared_disks,
    validate_own_selector,
    validate_selected_template,
)
from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import (
    amount,
    at_most_all,
    each,
    forbidden,
    immutable,
    int_or_percent,
    invalid,
    non_negative,
    one_of,
    required,
    unsupported,
)
from bareboat.api.kinds.core.claims import validate_claim_spec
from bareboat.api.kinds.core.pod_defaults import default_pod_spec
from bareboat.api.kinds.core.pod_spec import validate_template
from bareboat.api.kinds.core.pod_warnings import pod_warnings
from bareboat.api.kinds.metadata import validate_annotations, validate_labels
from bareboat.api.kinds.selectors import is_empty, usable, validate_selector
from bareboat.api.strategy import Strategy, SubresourceStrategy
from bareboat.models import apps_v1, core_v1
from bareboat.models.codec import copy
from bareboat.models.names import dns1123_label
from bareboat.models.status import Cause

_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
GENERATION = "deprecated.daemonset.template.generation"


class StatefulStatus(CountedStatus):
    counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration")
    parts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


class StatefulSetStrategy(KindStrategy):
    subresources = {"status": StatefulStatus()}

    def default(self, obj: Any) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        if spec.replicas is None:
            spec.replicas = 1
        spec.podManagementPolicy = spec.podManagementPolicy or "OrderedReady"
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        _default_update(spec.updateStrategy)
        retention = spec.persistentVolumeClaimRetentionPolicy or apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy()
        retention.whenDeleted = retention.whenDeleted or "Retain"
        retention.whenScaled = retention.whenScaled or "Retain"
        spec.persistentVolumeClaimRetentionPolicy = retention
        for claim in spec.volumeClaimTemplates:
            claim.spec.volumeMode = "Filesystem" if claim.spec.volumeMode is None else claim.spec.volumeMode
            claim.status.phase = claim.status.phase or "Pending"
            claim.apiVersion, claim.kind = "v1", "PersistentVolumeClaim"

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = each("spec.serviceName", spec.serviceName, dns1123_label(spec.serviceName)) if spec.serviceName else []
        for i, claim in enumerate(spec.volumeClaimTemplates):
            causes += validate_claim_spec(claim.spec, f"spec.volumeClaimTemplates[{i}].spec")
        return causes + self._validate(spec)

    def _validate(self, spec: Any) -> list[Cause]:
        """What may change, and is therefore checked again on an update."""
        causes = _management(spec.podManagementPolicy) + _update_strategy(spec.updateStrategy, "spec.updateStrategy")
        causes += _retention(spec.persistentVolumeClaimRetentionPolicy, "spec.persistentVolumeClaimRetentionPolicy")
        for name in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
            causes += non_negative(f"spec.{name}", getattr(spec, name))
        if spec.ordinals is not None:
            causes += non_negative("spec.ordinals.start", spec.ordinals.start)
        causes += validate_own_selector(spec.selector, "spec.selector", "statefulset")
        about = spec.template.metadata  # upstream looks here once more than for other kinds
        causes += validate_labels(about.labels, "spec.template.labels") + validate_annotations(
            about.annotations, "spec.template.annotations"
        )
        return causes + validate_selected_template(_with_claims(spec), spec.selector, "spec", "StatefulSet", "")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self._validate(new.spec)
        masked = copy(new.spec)
        for field in _MAY_CHANGE:
            setattr(masked, field, getattr(old.spec, field))
        return causes + ([forbidden("spec", _FIXED)] if masked != old.spec else [])

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return pod_warnings(obj.spec.template.metadata, obj.spec.template.spec, "spec.template.spec")


def _default_update(strategy: Any) -> None:
    """A client that names the type without details gets none."""
    if not strategy.type:
        strategy.type = "RollingUpdate"
        strategy.rollingUpdate = strategy.rollingUpdate or apps_v1.RollingUpdateStatefulSetStrategy()
    if strategy.type == "RollingUpdate" and strategy.rollingUpdate is not None:
        strategy.rollingUpdate.partition = strategy.rollingUpdate.partition or 0


def _with_claims(spec: Any) -> Any:
    """The template as its pods will be: claims come first and take the place of volumes of their name."""
    if not spec.volumeClaimTemplates:
        return spec.template
    names = dict.fromkeys(claim.metadata.name for claim in spec.volumeClaimTemplates)
    source = core_v1.PersistentVolumeClaimVolumeSource
    claims = [core_v1.Volume(name=name, persistentVolumeClaim=source(claimName=name)) for name in names]
    template = copy(spec.template)
    template.spec.volumes = [*claims, *(volume for volume in template.spec.volumes if volume.name not in names or not volume.name)]
    return template


def _management(policy: str) -> list[Cause]:
    field = "spec.podManagementPolicy"
    if not policy:
        return [required(field)]
    return [] if policy in ("OrderedReady", "Parallel") else [invalid(field, policy, "must be 'OrderedReady' or 'Parallel'")]


def _update_strategy(strategy: Any, at: str) -> list[Cause]:
    rolling = strategy.rollingUpdate
    if strategy.type == "OnDelete":
        message = "only allowed for updateStrategy 'RollingUpdate'"
        return [invalid(f"{at}.rollingUpdate", rolling, message)] if rolling is not None else []
    if strategy.type != "RollingUpdate":
        return [invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    causes = non_negative(f"{at}.rollingUpdate.partition", rolling.partition)
    if rolling.maxUnavailable is not None:
        field = f"{at}.rollingUpdate.maxUnavailable"
        causes += int_or_percent(field, rolling.maxUnavailable) + at_most_all(field, rolling.maxUnavailable)
        if amount(rolling.maxUnavailable) == 0:
            causes.append(invalid(field, rolling.maxUnavailable, "cannot be 0"))
    return causes


def _retention(policy: Any, at: str) -> list[Cause]:
    if policy is None:
        return []
    names = ("whenDeleted", "whenScaled")
    return [cause for name in names for cause in one_of(f"{at}.{name}", getattr(policy, name), ("Delete", "Retain"))]


class DaemonStatus(SubresourceStrategy):
    counts = (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    )

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return [cause for name in self.counts for cause in non_negative(f"status.{name}", getattr(new.status, name))]


class DaemonSetStrategy(KindStrategy):
    subresources = {"status": DaemonStatus()}

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
        # the count is written with every version of the object, so whoever makes it owns it
        obj.metadata.annotations.setdefault(GENERATION, "0")

    def prepare_create(self, obj: Any, ctx: Any) -> None:
        super().prepare_create(obj, ctx)
        obj.metadata.annotations = {**obj.metadata.annotations, GENERATION: "1"}

    def prepare_update(self, new: Any, old: Any, ctx: Any) -> None:
        super().prepare_update(new, old, ctx)
        before = int(old.metadata.annotations.get(GENERATION, "0") or 0)
        now = before + 1 if new.spec.template != old.spec.template else before
        new.metadata.annotations = {**new.metadata.annotations, GENERATION: str(now)}

    def validate_create(self, obj: Any) -> list[Cause]:
        spec, template = obj.spec, obj.spec.template
        causes = validate_selector(spec.selector, "spec.selector")
        selector = usable(spec.selector)
        if selector is not None:
            causes += matching_labels(template, selector, "spec.template")
        if is_empty(spec.selector):
            causes.append(invalid("spec.selector", spec.selector, "empty selector is invalid for daemonset"))
        causes += validate_template(template, "spec.template")
        causes += shared_disks(template.spec.volumes, "spec.template.spec.volumes")
        causes += always_running(template, "spec.template", "DaemonSet")
        for name in ("minReadySeconds", "revisionHistoryLimit"):
            causes += non_negative(f"spec.{name}", getattr(spec, name))
        return causes + _daemon_update(spec.updateStrategy, "spec.updateStrategy")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.selector", new.spec.selector, old.spec.selector)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return pod_warnings(obj.spec.template.metadata, obj.spec.template.spec, "spec.template.spec")


def _daemon_update(strategy: Any, at: str) -> list[Cause]:
    if strategy.type == "OnDelete":
        return []
    if strategy.type != "RollingUpdate":
        return [unsupported(at, strategy, ("RollingUpdate", "OnDelete"))]
    rolling = strategy.rollingUpdate
    unavailable, surge = f"{at}.rollingUpdate.maxUnavailable", f"{at}.rollingUpdate.maxSurge"
    causes = int_or_percent(unavailable, rolling.maxUnavailable) + int_or_percent(surge, rolling.maxSurge)
    causes += at_most_all(unavailable, rolling.maxUnavailable) + at_most_all(surge, rolling.maxSurge)
    both = amount(rolling.maxUnavailable) != 0, amount(rolling.maxSurge) != 0
    if all(both):
        causes.append(invalid(surge, rolling.maxSurge, "may not be set when maxUnavailable is non-zero"))
    elif not any(both):
        causes.append(required(unavailable, "cannot be 0 when maxSurge is 0"))
    return causes


class RevisionStrategy(PlainStrategy):
    """A snapshot: its data never changes."""

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = [] if obj.data is not None else [required("data", "data is mandatory")]
        return causes + non_negative("revision", obj.revision)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("data", new.data, old.data)


STRATEGIES: dict[str, type[Strategy]] = {
    "apps/statefulsets": StatefulSetStrategy,
    "apps/daemonsets": DaemonSetStrategy,
    "apps/controllerrevisions": RevisionStrategy,
}
