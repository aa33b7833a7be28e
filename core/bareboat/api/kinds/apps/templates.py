"""The template of a workload: a pod template, labels that the selector matches, the restart policies that the kind allows."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import forbidden, invalid, required, unsupported
from bareboat.api.kinds.core.pod_spec import validate_template
from bareboat.api.kinds.selectors import is_empty, usable, validate_selector
from bareboat.models.selectors import Selector
from bareboat.models.status import Cause

MISMATCH = "`selector` does not match template `labels`"


def validate_own_selector(selector: Any, at: str, kind: str) -> list[Cause]:
    """Required, well formed, not empty."""
    if selector is None:
        return [required(at)]
    causes = validate_selector(selector, at)
    return causes + ([invalid(at, selector, f"empty selector is invalid for {kind}")] if is_empty(selector) else [])


def matching_labels(template: Any, selector: Selector, at: str) -> list[Cause]:
    labels = template.metadata.labels
    return [] if selector.matches(labels) else [invalid(f"{at}.metadata.labels", labels or None, MISMATCH)]


def always_running(template: Any, at: str, kind: str) -> list[Cause]:
    """Pods of the kind are restarted for ever."""
    causes: list[Cause] = []
    if template.spec.restartPolicy != "Always":
        causes.append(unsupported(f"{at}.spec.restartPolicy", template.spec.restartPolicy, ("Always",)))
    if template.spec.activeDeadlineSeconds is not None:
        causes.append(forbidden(f"{at}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"))
    return causes


def validate_selected_template(template: Any, selector: Any, at: str, kind: str, because: str = "invalid label selector") -> list[Cause]:
    """``at`` is the path of the spec that holds both. A selector that makes no sense hides the template's faults."""
    found = usable(selector)
    if found is None:
        return [invalid(f"{at}.selector", selector, because)]
    where = f"{at}.template"
    causes = [] if found.empty else matching_labels(template, found, where)
    return causes + validate_template(template, where) + always_running(template, where, kind)


def shared_disks(volumes: list[Any], at: str) -> list[Cause]:
    """Disks that only one node may write cannot be shared by several pods."""
    causes: list[Cause] = []
    for i, volume in enumerate(volumes):
        disk = volume.gcePersistentDisk
        if disk is not None and not disk.readOnly:
            message = "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only"
            causes.append(invalid(f"{at}[{i}].gcePersistentDisk.readOnly", False, message))
    return causes
