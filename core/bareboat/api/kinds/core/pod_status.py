"""What an agent may not say about a pod: wrong addresses, ended containers that run again, a changed quality of service."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import duplicate, each, forbidden, immutable, invalid
from bareboat.api.kinds.core.paths import ip_address, parse_ip
from bareboat.models.names import dns1123_subdomain, qualified_name
from bareboat.models.status import Cause

_SYSTEM = ("PodScheduled", "Ready", "Initialized")


def validate_pod_status(new: Any, old: Any) -> list[Cause]:
    causes: list[Cause] = []
    status, was, spec = new.status, old.status, old.spec
    for i, condition in enumerate(status.conditions):
        if condition.type not in _SYSTEM:
            causes += each(f"metadata.conditions[{i}].Type", condition.type, qualified_name(condition.type))
    nominated = status.nominatedNodeName
    if nominated and nominated != was.nominatedNodeName:
        causes += each("status.nominatedNodeName", nominated, dns1123_subdomain(nominated))
    causes += immutable("status.qosClass", status.qosClass, was.qosClass)
    sidecars = {c.name for c in spec.initContainers if c.restartPolicy == "Always"}
    own = {c.name for c in spec.containers if c.restartPolicy or c.restartPolicyRules}
    causes += _restarted(status.containerStatuses, was.containerStatuses, "status.containerStatuses", spec.restartPolicy, own)
    causes += _restarted(
        status.initContainerStatuses, was.initContainerStatuses, "status.initContainerStatuses", spec.restartPolicy, sidecars
    )
    field = "status.ephemeralContainerStatuses"
    causes += _restarted(status.ephemeralContainerStatuses, was.ephemeralContainerStatuses, field, "Never", set())
    causes += _claims(status.resourceClaimStatuses, {claim.name for claim in spec.resourceClaims})
    causes += _addresses(status.podIPs, "status.podIPs")
    if status.hostIPs and status.hostIP != status.hostIPs[0].ip:
        causes.append(invalid("status.hostIPs[0].ip", status.hostIPs[0].ip, "must be equal to `hostIP`"))
    return causes + _addresses(status.hostIPs, "status.hostIPs")


def _restarted(new: list[Any], old: list[Any], at: str, policy: str, may: set[str]) -> list[Cause]:
    if policy == "Always":
        return []
    now = {status.name: status for status in new}
    causes: list[Cause] = []
    for i, was in enumerate(old):
        ended = was.state.terminated
        if ended is None or was.name in may or (ended.exitCode != 0 and policy == "OnFailure"):
            continue
        if was.name in now and now[was.name].state.terminated is None:
            causes.append(forbidden(f"{at}[{i}].state", "may not be transitioned to non-terminated state"))
    return causes


def _claims(statuses: list[Any], known: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, status in enumerate(statuses):
        field = f"status.resourceClaimStatuses[{i}].name"
        if status.name not in known:
            causes.append(invalid(field, status.name, "must match the name of an entry in `spec.resourceClaims`"))
        if status.name in seen:
            causes.append(duplicate(field, status.name))
        seen.add(status.name)
    return causes


def _addresses(addresses: list[Any], at: str) -> list[Cause]:
    """At most one of each family."""
    causes: list[Cause] = []
    for i, address in enumerate(addresses):
        causes += ip_address(f"{at}[{i}]", address.ip)
    if len(addresses) < 2:
        return causes
    families = [parsed.version for a in addresses if (parsed := parse_ip(a.ip)) is not None]
    if len(addresses) > 2 or len(set(families)) != len(addresses):
        causes.append(invalid(at, addresses, "may specify no more than one IP for each IP family"))
    seen: set[str] = set()
    for i, address in enumerate(addresses):
        if address.ip in seen:
            causes.append(duplicate(f"{at}[{i}]", address))
        seen.add(address.ip)
    return causes
