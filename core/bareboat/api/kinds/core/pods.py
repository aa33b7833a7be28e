"""Pods and pod templates: defaults, quality of service, grace, what an update may change."""

from __future__ import annotations

from functools import partial
from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import forbidden, invalid
from bareboat.api.kinds.core.containers import trimmed_image
from bareboat.api.kinds.core.label_keys import merge_label_keys
from bareboat.api.kinds.core.pod_annotations import validate_pod_annotation_updates, validate_pod_annotations
from bareboat.api.kinds.core.pod_defaults import default_pod, default_pod_spec
from bareboat.api.kinds.core.pod_spec import validate_pod_spec, validate_template
from bareboat.api.kinds.core.pod_status import validate_pod_status
from bareboat.api.kinds.core.pod_update import validate_resize, validate_spec_update
from bareboat.api.kinds.core.pod_warnings import annotation_warnings, pod_warnings, spec_warnings
from bareboat.api.kinds.core.verdicts import Spotless, known_as
from bareboat.api.strategy import Strategy, SubresourceStrategy, Verdict, WriteContext
from bareboat.base.memo import remembered
from bareboat.models import core_v1
from bareboat.models.codec import copy, encode
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_COMPUTE = ("cpu", "memory")
_flawless, _harmless = Spotless(), Spotless()


def qos_class(spec: Any) -> str:
    """Guaranteed, Burstable or BestEffort from the containers' cpu and memory (KEP-free: upstream's qos rules)."""
    best, guaranteed = True, True
    for container in [*spec.containers, *spec.initContainers]:
        asked, bound = container.resources.requests, container.resources.limits
        for name in _COMPUTE:
            request, limit = _milli(asked.get(name, "0")), _milli(bound.get(name, "0"))
            best = best and not request and not limit
            guaranteed = guaranteed and limit != 0 and (not request or (request == limit and _same(asked[name], bound[name])))
    return "BestEffort" if best else "Guaranteed" if guaranteed else "Burstable"


def _same(one: str, other: str) -> bool:
    return one == other or Quantity.parse(one) == Quantity.parse(other)


@remembered(1024)
def _milli(amount: str) -> int:
    return Quantity.parse(amount).milli()


class PodStatus(SubresourceStrategy):
    kept_metadata = ("ownerReferences",)
    reset_fields = ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences")

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        super().prepare_update(new, old, ctx)
        status = new.status
        status.qosClass = status.qosClass or old.status.qosClass
        if status.podIP and (not status.podIPs or status.podIPs[0].ip != status.podIP):  # agents of old know one address only
            status.podIPs = [core_v1.PodIP(ip=status.podIP)]
        status.podIP = status.podIPs[0].ip if status.podIPs else ""

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return validate_pod_status(new, old)


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
        """In any order; a patch does not keep it."""
        causes = validate_pod(new)
        now = {container.name: container for container in new.spec.ephemeralContainers}
        for container in old.spec.ephemeralContainers:
            if container.name not in now:
                message = f'existing ephemeral containers "{container.name}" may not be removed\n'
                causes.append(forbidden("spec.ephemeralContainers", message))
            elif now[container.name] != container:
                message = f'existing ephemeral containers "{container.name}" may not be changed\n'
                causes.append(forbidden("spec.ephemeralContainers", message))
        return causes


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
        causes = validate_pod(new)
        if qos_class(new.spec) != (old.status.qosClass or qos_class(old.spec)):
            causes.append(invalid("spec", new.status.qosClass, "Pod QOS Class may not change as a result of resizing"))
        return causes + validate_resize(new.spec, old.spec)


def validate_pod(pod: Any, known: bytes | None = None) -> list[Cause]:
    """A pod at any time of its life. Tokens without an account and padded images are faults of pods, not of templates. ``known``:
    what its spec is known as."""
    spec = pod.spec
    ask = partial(_spec_of_pod, pod.metadata.name, spec)
    return _annotations_of(pod) + _flawless.ask(known_as(spec) if known is None else known, ask)


def _annotations_of(pod: Any) -> list[Cause]:
    annotations = pod.metadata.annotations
    return validate_pod_annotations(annotations, pod.spec, "metadata.annotations") if annotations else []


def _spec_of_pod(name: str, spec: Any) -> list[Cause]:
    causes = validate_pod_spec(spec, "spec", pod=name, is_pod=True)
    if not spec.serviceAccountName:
        for i, volume in enumerate(spec.volumes):
            for j, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
                if source.serviceAccountToken is not None:
                    field = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                    causes.append(forbidden(field, "must not be specified when serviceAccountName is not set"))
    for part in ("containers", "initContainers"):
        for i, container in enumerate(getattr(spec, part)):
            causes += trimmed_image(container, f"spec.{part}[{i}]")
    return causes


class PodStrategy(KindStrategy):
    graceful = True
    spec_stands_alone = True
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
        default_pod(obj)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.metadata.generation = 1
        merge_label_keys(obj)
        obj.status = core_v1.PodStatus(phase="Pending", qosClass=qos_class(obj.spec))
        if obj.spec.schedulingGates:
            message = "Scheduling is blocked due to non-empty scheduling gates"
            obj.status.conditions = [core_v1.PodCondition(type="PodScheduled", status="False", reason="SchedulingGated", message=message)]

    def judge(self, obj: Any) -> Verdict:
        spec = encode(obj.spec)
        known = known_as(obj.spec, spec)
        causes = self._faults(obj, known)
        return Verdict(causes, [] if causes else self._texts(obj, known), spec)

    def validate_create(self, obj: Any) -> list[Cause]:
        return self._faults(obj, known_as(obj.spec))

    def _faults(self, obj: Any, known: bytes) -> list[Cause]:
        causes = validate_pod(obj, known)
        if obj.spec.ephemeralContainers:
            causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
        if obj.spec.nodeName and obj.spec.schedulingGates:
            causes.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        annotations = validate_pod_annotation_updates(new.metadata.annotations, old.metadata.annotations, "metadata.annotations")
        if new.spec == old.spec:  # nothing was wrong with it when it was written
            return _annotations_of(new) + annotations
        return validate_pod(new) + annotations + validate_spec_update(new.spec, old.spec)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return [] if old is not None else self._texts(obj, known_as(obj.spec))

    def _texts(self, obj: Any, known: bytes) -> list[str]:
        texts = annotation_warnings(obj.metadata.annotations, "spec") if obj.metadata.annotations else []
        return texts + _harmless.ask(known, partial(spec_warnings, obj.spec, "spec"))

    def grace_seconds(self, obj: Any, requested: int | None) -> int:
        if not obj.spec.nodeName or obj.status.phase in ("Succeeded", "Failed"):
            return 0
        if requested is not None:
            return max(requested, 0)
        wanted = obj.spec.terminationGracePeriodSeconds
        return 30 if wanted is None else max(wanted, 1) if wanted < 0 else wanted


class PodTemplateStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        default_pod_spec(obj.template.spec)

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        obj.metadata.generation = 1

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.metadata.generation = old.metadata.generation + (new.template != old.template)

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_template(obj.template, "template")

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return pod_warnings(obj.template.metadata, obj.template.spec, "template.spec")


STRATEGIES: dict[str, type[Strategy]] = {"core/pods": PodStrategy, "core/podtemplates": PodTemplateStrategy}
