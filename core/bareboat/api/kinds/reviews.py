"""Questions that are answered and not stored: access reviews and token requests."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import invalid, required
from bareboat.models.status import Cause

_SHORTEST_SECONDS, _LONGEST_SECONDS = 600, 1 << 32


def validate_access_review(review: Any, *, of_self: bool = False, namespace: str = "") -> list[Cause]:
    """``namespace`` is that of the path, for local reviews."""
    spec, causes = review.spec, []
    resource, path = spec.resourceAttributes, spec.nonResourceAttributes
    if resource is not None and path is not None:
        causes.append(invalid("spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes"))
    if resource is None and path is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(invalid("spec.resourceAttributes", None, message))
    if not of_self and not spec.user and not spec.groups:
        causes.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    if resource is not None:
        for name in ("fieldSelector", "labelSelector"):
            causes += _selector(getattr(resource, name), f"spec.resourceAttributes.{name}")
    if namespace and path is not None:
        causes.append(invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request"))
    if namespace and resource is not None and resource.namespace != namespace:
        causes.append(invalid("spec.resourceAttributes.namespace", resource.namespace, "must match metadata.namespace"))
    return causes


def _selector(selector: Any, at: str) -> list[Cause]:
    if selector is None:
        return []
    if selector.rawSelector and selector.requirements:
        return [invalid(f"{at}.rawSelector", selector.rawSelector, "may not specified at the same time as requirements")]
    if not selector.rawSelector and not selector.requirements:
        return [required(f"{at}.requirements", f"when {at} is specified, requirements or rawSelector is required")]
    return []


def validate_token_request(request: Any, namespace: str, name: str) -> list[Cause]:
    meta, seconds = request.metadata, request.spec.expirationSeconds
    causes: list[Cause] = []
    if meta.name and meta.name != name:
        causes.append(invalid("metadata.name", meta.name, "must match the service account name if specified"))
    if meta.namespace and meta.namespace != namespace:
        causes.append(invalid("metadata.namespace", meta.namespace, "must match the service account namespace if specified"))
    if causes or seconds is None:
        return causes
    if seconds < _SHORTEST_SECONDS:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")]
    if seconds > _LONGEST_SECONDS:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
