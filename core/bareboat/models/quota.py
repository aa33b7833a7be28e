"""What objects use of ResourceQuotas, and which quotas an object counts for. Pure functions, for admission and for recounting alike.

Names are upstream's: ``pods``, ``requests.cpu``, ``services.nodeports``, ``gold.storageclass.storage.k8s.io/requests.storage``,
``count/deployments.apps``. ``group_resource`` is ``pods`` or ``deployments.apps``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.times import parse

Usage = dict[str, Quantity]
ONE = Quantity.parse("1")
#: Kinds that count under their plain name too.
PLAIN = frozenset({"configmaps", "secrets", "services", "replicationcontrollers", "resourcequotas", "persistentvolumeclaims", "pods"})
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"


def add(into: Usage, other: Mapping[str, Quantity]) -> None:
    for name, amount in other.items():
        into[name] = into[name] + amount if name in into else amount


def resource_of(name: str) -> str:
    """The group and resource that a name of a quota is about."""
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name in PLAIN:
        return name
    if name.startswith("services."):
        return "services"
    if name.endswith(("requests.storage", f"{_STORAGE_CLASS}persistentvolumeclaims")):
        return "persistentvolumeclaims"
    return "pods"


def is_pod_resource(name: str) -> bool:
    """Whether pods use it by asking for it, rather than by being there."""
    return resource_of(name) == "pods" and name not in ("pods", "count/pods")


def usage(group_resource: str, obj: Any, now: datetime) -> Usage:
    """What one object uses."""
    used: Usage = {f"count/{group_resource}": ONE}
    if group_resource in PLAIN and group_resource != "pods":
        used[group_resource] = ONE
    special = _SPECIAL.get(group_resource)
    if special is not None:
        used.update(special(obj, now))
    return used


def _pod(pod: core_v1.Pod, now: datetime) -> Usage:
    """Pods that have ended, or should have by now, use nothing but a place in the count."""
    if pod.status.phase in ("Succeeded", "Failed") or _overdue(pod, now):
        return {}
    requests = total(pod, lambda c: c.resources.requests, pod.spec.overhead)
    limits = total(pod, lambda c: c.resources.limits, pod.spec.overhead)
    if pod.spec.resources is not None:
        requests.update(_parsed(pod.spec.resources.requests))
        limits.update(_parsed(pod.spec.resources.limits))
    used: Usage = {"pods": ONE}
    for name, amount in requests.items():
        used[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
    for name, amount in limits.items():
        if name in _COMPUTE:
            used[f"limits.{name}"] = amount
    return used


def _overdue(pod: core_v1.Pod, now: datetime) -> bool:
    meta = pod.metadata
    if not meta.deletionTimestamp or meta.deletionGracePeriodSeconds is None:
        return False
    return now > parse(meta.deletionTimestamp) + timedelta(seconds=meta.deletionGracePeriodSeconds)


def total(pod: core_v1.Pod, of: Callable[[core_v1.Container], Mapping[str, str]], overhead: Mapping[str, str]) -> Usage:
    """Containers and sidecars together, or the largest ordinary init container with the sidecars before it, plus overhead."""
    sidecars: Usage = {}
    largest: Usage = {}
    for container in pod.spec.initContainers:
        wanted = _parsed(of(container))
        if container.restartPolicy == "Always":
            add(sidecars, wanted)
            wanted = dict(sidecars)
        else:
            add(wanted, sidecars)
        _maximum(largest, wanted)
    found: Usage = dict(sidecars)
    for container in pod.spec.containers:
        add(found, _parsed(of(container)))
    _maximum(found, largest)
    add(found, _parsed(overhead))
    return found


def _parsed(resources: Mapping[str, str]) -> Usage:
    return {name: Quantity.parse(text) for name, text in resources.items()}


def _maximum(into: Usage, other: Usage) -> None:
    for name, amount in other.items():
        if name not in into or into[name] < amount:
            into[name] = amount


def _service(service: core_v1.Service, now: datetime) -> Usage:
    del now
    spec, used = service.spec, {"services.loadbalancers": Quantity(), "services.nodeports": Quantity()}
    ports = len(spec.ports)
    if spec.type == "LoadBalancer":
        used["services.loadbalancers"] = ONE
        if spec.allocateLoadBalancerNodePorts is False:
            ports = sum(1 for p in spec.ports if p.nodePort)
    if spec.type in ("NodePort", "LoadBalancer"):
        used["services.nodeports"] = ONE * ports
    return used


def _claim(claim: core_v1.PersistentVolumeClaim, now: datetime) -> Usage:
    del now
    used: Usage = {}
    asked = claim.spec.resources.requests.get("storage")
    allocated = claim.status.allocatedResources.get("storage")
    amounts = [Quantity.parse(t) for t in (asked, allocated) if t is not None]
    if amounts:
        used["requests.storage"] = max(amounts)
    name = claim.metadata.annotations.get("volume.beta.kubernetes.io/storage-class", claim.spec.storageClassName or "")
    if name:
        used[f"{name}{_STORAGE_CLASS}persistentvolumeclaims"] = ONE
        if amounts:
            used[f"{name}{_STORAGE_CLASS}requests.storage"] = max(amounts)
    return used


_SPECIAL: dict[str, Callable[[Any, datetime], Usage]] = {"pods": _pod, "services": _service, "persistentvolumeclaims": _claim}


def in_scope(quota: core_v1.ResourceQuota, group_resource: str, obj: Any) -> bool:
    """Whether the object counts for the quota. Scopes select pods (or claims) and nothing else."""
    spec = quota.spec
    scopes = [core_v1.ScopedResourceSelectorRequirement(scopeName=s, operator="Exists") for s in spec.scopes]
    scopes += spec.scopeSelector.matchExpressions if spec.scopeSelector is not None else []
    return all(_scope(scope, group_resource, obj) for scope in scopes)


def _scope(scope: Any, group_resource: str, obj: Any) -> bool:
    if scope.scopeName == "VolumeAttributesClass":
        return group_resource == "persistentvolumeclaims" and _selects(scope, obj.spec.volumeAttributesClassName or "")
    if group_resource != "pods":
        return False
    bounded = obj.spec.activeDeadlineSeconds is not None
    match scope.scopeName:
        case "Terminating":
            return bounded
        case "NotTerminating":
            return not bounded
        case "BestEffort":
            return bool(obj.status.qosClass == "BestEffort")
        case "NotBestEffort":
            return bool(obj.status.qosClass != "BestEffort")
        case "PriorityClass":
            return _selects(scope, obj.spec.priorityClassName)
        case "CrossNamespacePodAffinity":
            return _crosses(obj.spec.affinity)
    return False


def _selects(scope: Any, value: str) -> bool:
    match scope.operator:
        case "In":
            return value in scope.values
        case "NotIn":
            return value not in scope.values
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
    return False


def _crosses(affinity: core_v1.Affinity | None) -> bool:
    terms: list[Any] = []
    for kind in (affinity.podAffinity, affinity.podAntiAffinity) if affinity is not None else ():
        if kind is not None:
            terms += kind.requiredDuringSchedulingIgnoredDuringExecution
            terms += [t.podAffinityTerm for t in kind.preferredDuringSchedulingIgnoredDuringExecution]
    return any(t.namespaces or t.namespaceSelector is not None for t in terms)
