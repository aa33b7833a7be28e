"""What one write asks of the quotas of its namespace. Pure functions over quotas and usages.

In: a claim (the request, what its object uses and used). Out: the new usage of each quota it counts for, or Forbidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bareboat.contracts.admission import AdmissionRequest
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.quota import Usage, in_scope, resource_of
from bareboat.models.status import ApiError, Forbidden

_CONSTRAINED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})


@dataclass(slots=True)
class Claim:
    """``error`` is why it was refused; ``decided`` says that it was refused or reserved."""

    request: AdmissionRequest
    group_resource: str
    wanted: Usage
    before: Usage = field(default_factory=dict)
    error: ApiError | None = None
    decided: bool = False
    charged: list[str] = field(default_factory=list)


def charge(claim: Claim, quotas: Iterable[core_v1.ResourceQuota]) -> dict[str, Usage]:
    """Quota name → its usage with the claim. Raises Forbidden; changes nothing."""
    found: dict[str, Usage] = {}
    for quota in quotas:
        names = {name for name in quota.status.hard if resource_of(name) == claim.group_resource}
        if names and in_scope(quota, claim.group_resource, claim.request.object):
            _check_constraints(claim, quota, names)
            unknown = names - set(quota.status.used)
            if unknown:
                raise _refused(claim, f"status unknown for quota: {quota.metadata.name}, resources: {','.join(sorted(names))}")
            used = _charged(claim, quota, names)
            if used is not None:
                found[quota.metadata.name] = used
    return found


def _charged(claim: Claim, quota: core_v1.ResourceQuota, names: set[str]) -> Usage | None:
    """None if there is nothing to add."""
    delta = _delta(claim, quota, names)
    if not delta:
        return None
    hard = {name: Quantity.parse(quota.status.hard[name]) for name in delta}
    used = {name: Quantity.parse(quota.status.used[name]) for name in delta}
    after = {name: used[name] + amount for name, amount in delta.items()}
    exceeded = sorted(name for name in delta if after[name] > hard[name])
    if exceeded:
        parts = ", ".join(f"{what}: {_pretty(of, exceeded)}" for what, of in (("requested", delta), ("used", used), ("limited", hard)))
        raise _refused(claim, f"exceeded quota: {quota.metadata.name}, {parts}")
    return after


def _delta(claim: Claim, quota: core_v1.ResourceQuota, names: set[str]) -> Usage:
    """What the claim adds: for a change of an object that counted already only what it uses more than before."""
    negative = sorted(name for name, amount in claim.wanted.items() if amount.nanos < 0)
    if negative:
        raise _refused(claim, f"quota usage is negative for resource(s): {','.join(negative)}")
    old = claim.request.old
    counted = old is not None and in_scope(quota, claim.group_resource, old)
    before = claim.before if counted else {}
    delta = {name: amount - before.get(name, Quantity()) for name, amount in claim.wanted.items() if name in names}
    return {name: amount for name, amount in delta.items() if amount.nanos > 0}


def _check_constraints(claim: Claim, quota: core_v1.ResourceQuota, names: set[str]) -> None:
    """Where a quota counts cpu or memory every container has to name its share."""
    required = names & _CONSTRAINED
    if claim.group_resource != "pods" or not required:
        return
    spec = claim.request.object.spec
    of_pod = _named(spec.resources) if spec.resources is not None else set()
    missing: dict[str, set[str]] = {}
    for container in [*spec.containers, *spec.initContainers]:
        for name in required - _named(container.resources) - of_pod:
            missing.setdefault(name, set()).add(container.name)
    if missing:
        faults = "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))
        raise _refused(claim, f"failed quota: {quota.metadata.name}: must specify {faults}")


def _named(resources: Any) -> set[str]:
    requests = {*resources.requests, *(f"requests.{name}" for name in resources.requests)}
    return requests | {f"limits.{name}" for name in resources.limits}


def _pretty(amounts: Mapping[str, Quantity], names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)


def _refused(claim: Claim, because: str) -> Forbidden:
    request = claim.request
    return Forbidden.of(request.resource, request.name, group=request.group, because=because)
