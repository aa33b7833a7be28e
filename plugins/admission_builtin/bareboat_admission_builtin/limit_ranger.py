"""LimitRanger: containers get the namespace's default requests and limits; what is outside the namespace's bounds is refused.

In: pods (new ones, and resizes) and claims. Out: defaults with the annotation that tells of them, or Forbidden with every fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.models.quota import total
from bareboat.models.status import Forbidden, aggregate

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, Quantity]


class LimitRanger(AdmissionPlugin):
    name = "LimitRanger"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ranges: dict[str, dict[str, core_v1.LimitRange]] = {}
        reader.subscribe(core_v1.LimitRange, self._changed)

    def _changed(self, namespace: str, name: str) -> None:
        found = self._reader.get(core_v1.LimitRange, name, namespace)
        known = self._ranges.setdefault(namespace, {})
        if found is not None:
            known[name] = found
        else:
            known.pop(name, None)
        if not known:
            del self._ranges[namespace]

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        if group or operation not in ("CREATE", "UPDATE"):
            return False
        if resource == "pods":
            return (operation, subresource) in (("CREATE", ""), ("UPDATE", "resize"))
        return resource == "persistentvolumeclaims" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        ranges = self._ranges.get(request.namespace)
        if not ranges or request.resource != "pods" or _leaving(request):
            return
        for name in sorted(ranges):
            add_defaults(ranges[name], request.object)

    async def validate(self, request: AdmissionRequest) -> None:
        ranges = self._ranges.get(request.namespace)
        if not ranges or _leaving(request):
            return
        check = pod_faults if request.resource == "pods" else claim_faults
        for name in sorted(ranges):
            faults = list(check(ranges[name], request.object))
            if faults:
                raise Forbidden.of(request.resource, request.name, because=aggregate(faults))


def _leaving(request: AdmissionRequest) -> bool:
    return request.operation == "UPDATE" and bool(request.object.metadata.deletionTimestamp)


def add_defaults(limits: core_v1.LimitRange, pod: core_v1.Pod) -> None:
    """Requests and limits for the containers that name none, and the annotation that says which."""
    requests: dict[str, str] = {}
    maxima: dict[str, str] = {}
    for item in limits.spec.limits:
        if item.type == "Container":
            requests.update(item.defaultRequest)
            maxima.update(item.default)
    told: list[str] = []
    for kind, containers in (("container", pod.spec.containers), ("init container", pod.spec.initContainers)):
        for container in containers:
            told += _merge(container, kind, requests, maxima)
    if told:
        pod.metadata.annotations = {**pod.metadata.annotations, ANNOTATION: "LimitRanger plugin set: " + "; ".join(told)}


def _merge(container: core_v1.Container, kind: str, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    resources = container.resources
    for what, defaults in (("request", requests), ("limit", limits)):
        given: dict[str, str] = getattr(resources, f"{what}s")
        added = sorted(name for name in defaults if name not in given)
        if added:
            setattr(resources, f"{what}s", {**given, **{name: defaults[name] for name in added}})
            yield f"{', '.join(added)} {what} for {kind} {container.name}"


def pod_faults(limits: core_v1.LimitRange, pod: core_v1.Pod) -> Iterator[str]:
    for item in limits.spec.limits:
        if item.type == "Container":
            for container in [*pod.spec.containers, *pod.spec.initContainers]:
                yield from _faults(item, _parsed(container.resources.requests), _parsed(container.resources.limits))
        elif item.type == "Pod":
            yield from _faults(item, _of_pod(pod, "requests"), _of_pod(pod, "limits"))


def _of_pod(pod: core_v1.Pod, what: str) -> Amounts:
    """Of all containers together; what the pod names for itself counts instead."""
    pick: Callable[[core_v1.Container], Mapping[str, str]] = lambda container: getattr(container.resources, what)  # noqa: E731
    found = total(pod, pick, {})
    if pod.spec.resources is not None:
        found.update(_parsed(getattr(pod.spec.resources, what)))
    return found


def claim_faults(limits: core_v1.LimitRange, claim: core_v1.PersistentVolumeClaim) -> Iterator[str]:
    requests = _parsed(claim.spec.resources.requests)
    for item in limits.spec.limits:
        if item.type == "PersistentVolumeClaim":
            for name, bound in _parsed(item.min).items():
                yield from _minimum(item.type, name, bound, requests, {})
            for name, bound in _parsed(item.max).items():
                if name not in requests:
                    yield f"maximum {name} usage per {item.type} is {bound}.  No request is specified"
                elif requests[name] > bound:
                    yield f"maximum {name} usage per {item.type} is {bound}, but request is {requests[name]}"


def _parsed(amounts: Mapping[str, Any]) -> dict[str, Quantity]:
    return {name: Quantity.parse(amounts[name]) for name in sorted(amounts)}


def _faults(item: core_v1.LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in _parsed(item.min).items():
        yield from _minimum(item.type, name, bound, requests, limits)
    for name, bound in _parsed(item.max).items():
        yield from _maximum(item.type, name, bound, requests, limits)
    for name, bound in _parsed(item.maxLimitRequestRatio).items():
        yield from _ratio(item.type, name, bound, requests, limits)


def _minimum(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{start}.  No request is specified"
    elif requests[name] < bound:
        yield f"{start}, but request is {requests[name]}"
    elif name in limits and limits[name] < bound:
        yield f"{start}, but limit is {limits[name]}"


def _maximum(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        yield f"{start}.  No limit is specified"
    elif limits[name] > bound:
        yield f"{start}, but limit is {limits[name]}"
    elif name in requests and requests[name] > bound:
        yield f"{start}, but request is {requests[name]}"


def _ratio(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start = f"{name} max limit to request ratio per {kind} is {bound}"
    if not requests.get(name):
        yield f"{start}, but no request is specified or request is 0"
    elif not limits.get(name):
        yield f"{start}, but no limit is specified or limit is 0"
    elif limits[name].nanos * 10**9 > bound.nanos * requests[name].nanos:
        yield f"{start}, but provided ratio is {limits[name].nanos / requests[name].nanos:.6f}"
