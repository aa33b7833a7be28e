"""Amounts of resources: what containers, pods and claims request and may use at most."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import duplicate, each, forbidden, invalid, required, unknown, unsupported
from bareboat.models.names import dns1123_label, qualified_name
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_CONTAINER = frozenset(("cpu", "memory", "ephemeral-storage"))
_COUNTED = frozenset(
    (
        *("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"),
        *("services.nodeports", "services.loadbalancers"),
    )
)
_QUOTA = frozenset(f"{part}.{name}" for part in ("requests", "limits") for name in _CONTAINER) | {"requests.storage"}
STANDARD = _CONTAINER | _COUNTED | _QUOTA | {"storage"}
HUGE = "hugepages-"


def is_native(name: str) -> bool:
    """Kubernetes' own: without a domain, or with its domain."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


def is_integer(name: str) -> bool:
    return name in _COUNTED or is_extended(name)


def resource_name(field: str, name: str) -> list[Cause]:
    causes = each(field, name, qualified_name(name))
    if not causes and "/" not in name and name not in STANDARD and not name.startswith((HUGE, f"requests.{HUGE}")):
        causes.append(invalid(field, name, "must be a standard resource type or fully qualified"))
    return causes


def container_resource_name(field: str, name: str) -> list[Cause]:
    if name in _CONTAINER:
        return []
    causes = resource_name(field, name)
    if "/" not in name and not name.startswith(HUGE):
        causes.append(invalid(field, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        causes.append(invalid(field, name, "doesn't follow extended resource name standard"))
    return causes


def quantity(field: str, name: str, value: str) -> list[Cause]:
    """Not below zero; whole for what can only be counted."""
    amount = Quantity.parse(value)
    causes = [invalid(field, value, "must be greater than or equal to 0")] if amount.nanos < 0 else []
    if amount.milli() % 1000 and is_integer(name):
        causes.append(invalid(field, value, "must be an integer"))
    return causes


def validate_resources(resources: Any, at: str, claims: set[str] | None = None) -> list[Cause]:
    """Of a container or a pod."""
    if resources is None or not (resources.limits or resources.requests or resources.claims):
        return []
    causes: list[Cause] = []
    for part in ("limits", "requests"):
        for name, value in getattr(resources, part).items():
            causes += container_resource_name(f"{at}.{part}[{name}]", name) + quantity(f"{at}.{part}[{name}]", name, value)
    for name, value in resources.requests.items():
        causes += _against_limit(name, value, resources.limits.get(name), at)
    names = {*resources.limits, *resources.requests}
    if any(name.startswith(HUGE) for name in names) and not names & {"cpu", "memory"}:
        causes.append(forbidden(at, "HugePages require cpu or memory"))
    return causes + _claims(resources.claims, f"{at}.claims", claims or set())


def _against_limit(name: str, value: str, limit: str | None, at: str) -> list[Cause]:
    firm = is_extended(name) or name.startswith(HUGE)
    if limit is None:
        return [required(f"{at}.limits", "Limit must be set for non overcommitable resources")] if firm else []
    if firm and Quantity.parse(value) != Quantity.parse(limit):
        return [invalid(f"{at}.requests", value, f"must be equal to {name} limit of {limit}")]
    if Quantity.parse(value) > Quantity.parse(limit):
        return [invalid(f"{at}.requests", value, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _claims(claims: list[Any], at: str, known: set[str]) -> list[Cause]:
    """The whole claim or requests of it, each once."""
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        if not claim.name:
            causes.append(required(f"{at}[{i}]"))
            continue
        key = f"{claim.name}/{claim.request}" if claim.request else claim.name
        if claim.request:
            causes += each(f"{at}[{i}].request", claim.request, dns1123_label(claim.request))
        if claim.name in seen or key in seen or (not claim.request and any(k.startswith(f"{claim.name}/") for k in seen)):
            causes.append(duplicate(f"{at}[{i}]", key))
        seen.add(key)
        if claim.name not in known:
            causes.append(unknown(f"{at}[{i}]", claim.name))
    return causes


_POD_LEVEL = ("cpu", "memory")


def validate_pod_resources(spec: Any, at: str) -> list[Cause]:
    """Of the pod as a whole: they hold what its containers request."""
    causes: list[Cause] = []
    resources = spec.resources
    if resources.claims:
        causes.append(forbidden(f"{at}.claims", "claims cannot be set for Resources at pod-level"))
    for part in ("limits", "requests"):
        for name, value in getattr(resources, part).items():
            field = f"{at}.{part}[{name}]"
            faults = resource_name(field, name)
            if not faults and name not in _POD_LEVEL and not name.startswith(HUGE):
                faults.append(unsupported(field, name, _POD_LEVEL))
            causes += faults + quantity(field, name, value)
    for name, value in resources.requests.items():
        causes += _against_limit(name, value, resources.limits.get(name), at)
    return causes + _aggregate(spec, at)


def _aggregate(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for name in {n for container in spec.containers for n in container.resources.requests}:
        total = sum((Quantity.parse(c.resources.requests.get(name, "0")) for c in spec.containers), Quantity())
        asked = spec.resources.requests.get(name, "0")
        if total > Quantity.parse(asked):
            message = f"must be greater than or equal to aggregate container requests of {total}"
            causes.append(invalid(f"{at}.requests[{name}]", asked, message))
    for i, container in enumerate(spec.containers):
        for name, limit in container.resources.limits.items():
            whole = spec.resources.limits.get(name)
            if whole is not None and Quantity.parse(limit) > Quantity.parse(whole):
                message = f"must be less than or equal to pod limits of {whole}"
                causes.append(invalid(f"{at}.containers[{i}][{name}].limits", limit, message))
    return causes
