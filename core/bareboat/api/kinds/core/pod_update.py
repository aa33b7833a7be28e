"""What an update of a pod may change: images, deadlines, tolerations added, gates taken away; the resources by ``/resize``."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import forbidden, invalid, required
from bareboat.api.kinds.core.pod_spec import validate_tolerations
from bareboat.models.codec import copy, to_tree
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_MAX_INT32 = 2**31 - 1
_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)
_REQUIRED = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def validate_spec_update(new: Any, old: Any) -> list[Cause]:
    causes: list[Cause] = []
    if new == old:
        return causes
    for part in ("containers", "initContainers"):
        if len(getattr(new, part)) != len(getattr(old, part)):
            return [*causes, forbidden(f"spec.{part}", "pod updates may not add or remove containers")]
        causes += _images(getattr(new, part), f"spec.{part}")
    faults, stop = _deadline(new.activeDeadlineSeconds, old.activeDeadlineSeconds)
    causes += faults
    if stop:
        return causes
    causes += _tolerations(new.tolerations, old.tolerations) + _gates(new.schedulingGates, old.schedulingGates)
    if old.schedulingGates:
        causes += _gated(new, old)
    if _masked(new, old) != old:
        causes.append(forbidden("spec", f"{_FIXED}\n{_difference(new, old)}"))
    return causes


def _images(containers: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, container in enumerate(containers):
        if not container.image:
            causes.append(required(f"{at}[{i}].image"))
        if container.image != container.image.strip():
            causes.append(invalid(f"{at}[{i}].image", container.image, "must not have leading or trailing whitespace"))
    return causes


def _deadline(new: int | None, old: int | None) -> tuple[list[Cause], bool]:
    """It may only come nearer. Whether to stop is upstream's choice."""
    field = "spec.activeDeadlineSeconds"
    if new is None:
        return ([invalid(field, None, "must not update from a positive integer to nil value")] if old is not None else [], False)
    if not 0 <= new <= _MAX_INT32:
        return [invalid(field, new, f"must be between 0 and {_MAX_INT32}, inclusive")], True
    if old is not None and old < new:
        return [invalid(field, new, "must be less than or equal to previous value")], True
    return [], False


def _tolerations(new: list[Any], old: list[Any]) -> list[Cause]:
    def key(toleration: Any) -> tuple[str, ...]:
        return toleration.key, toleration.operator, toleration.value, toleration.effect

    kept = {key(toleration) for toleration in new}
    if any(key(toleration) not in kept for toleration in old):
        return [forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]
    return validate_tolerations(new, "spec.tolerations")


def _gates(new: list[Any], old: list[Any]) -> list[Cause]:
    known = {gate.name for gate in old}
    return [
        forbidden(f"spec.schedulingGates[{i}].name", f"only deletion is allowed, but found new scheduling gate '{gate.name}'")
        for i, gate in enumerate(new)
        if gate.name not in known
    ]


def _gated(new: Any, old: Any) -> list[Cause]:
    """Before it is scheduled a pod may be tied down further."""
    causes: list[Cause] = []
    if any(new.nodeSelector.get(k) != v for k, v in old.nodeSelector.items()):
        message = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        causes.append(invalid("spec.nodeSelector", new.nodeSelector, message))
    before, after = _terms(old), _terms(new)
    if before and len(before) != len(after):
        return [*causes, invalid(_REQUIRED, after, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    for i, (was, now) in enumerate(zip(before, after, strict=False)):
        if any(e not in now.matchExpressions for e in was.matchExpressions) or any(f not in now.matchFields for f in was.matchFields):
            causes.append(invalid(f"{_REQUIRED}[{i}]", now, "only additions are allowed (no mutations or deletions)"))
    return causes


def _terms(spec: Any) -> list[Any]:
    node = spec.affinity.nodeAffinity if spec.affinity is not None else None
    selector = node.requiredDuringSchedulingIgnoredDuringExecution if node is not None else None
    return list(selector.nodeSelectorTerms) if selector is not None else []


def _masked(new: Any, old: Any) -> Any:
    """``new`` with everything that may change put back; equal to ``old`` if nothing else was touched."""
    spec = copy(new)
    for part in ("containers", "initContainers"):
        for container, was in zip(getattr(spec, part), getattr(old, part), strict=True):
            container.image = was.image
    spec.activeDeadlineSeconds, spec.tolerations, spec.schedulingGates = old.activeDeadlineSeconds, old.tolerations, old.schedulingGates
    if (old.terminationGracePeriodSeconds or 0) < 0 and spec.terminationGracePeriodSeconds == 1:
        spec.terminationGracePeriodSeconds = old.terminationGracePeriodSeconds
    if old.schedulingGates:
        spec.nodeSelector = old.nodeSelector
        spec.affinity = _masked_affinity(spec.affinity, old.affinity)
    return spec


def _masked_affinity(new: Any, old: Any) -> Any:
    if new is None:
        return old if old is None or (old.podAffinity is None and old.podAntiAffinity is None) else None
    if old is None:
        return None if new.podAffinity is None and new.podAntiAffinity is None else new
    new.nodeAffinity = old.nodeAffinity
    return new


def _difference(new: Any, old: Any) -> str:
    """The fields that differ, as a hint for people."""
    before, after = to_tree(old), to_tree(new)
    return "changed: " + ", ".join(sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k)))


def validate_resize(new: Any, old: Any) -> list[Cause]:
    """Containers and sidecars get more or less cpu and memory; a resource once asked for stays asked for."""
    causes: list[Cause] = []
    for part in ("initContainers", "containers"):
        for i, (container, was) in enumerate(zip(getattr(new, part), getattr(old, part), strict=True)):
            if part == "initContainers" and was.restartPolicy != "Always":
                changed = container.resources != was.resources
                causes += [forbidden("spec", "resources for non-sidecar init containers are immutable")] if changed else []
                continue
            causes += _resized(container, was, f"spec.{part}[{i}].resources")
            if _others(container.resources) != _others(was.resources):
                causes.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return causes


def _others(resources: Any) -> list[dict[str, str]]:
    return [{k: v for k, v in part.items() if k not in ("cpu", "memory")} for part in (resources.requests, resources.limits)]


def _resized(container: Any, was: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("requests", "limits"):
        if getattr(was.resources, part).keys() - getattr(container.resources, part).keys():
            causes.append(forbidden(f"{at}.{part}", f"resource {part} cannot be removed"))
    limit, before = container.resources.limits.get("memory"), was.resources.limits.get("memory")
    if limit is not None and before is not None and not Quantity.parse(limit).nanos > 0:
        causes.append(invalid(f"{at}.limits[memory]", limit, "must be greater than zero"))
    return causes
