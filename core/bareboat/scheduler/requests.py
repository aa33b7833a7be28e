"""What a pod asks of a node: resource requests summed as upstream does, and its ports of the host. Pure functions.

Sum of the containers and restartable init containers, or the largest ordinary init container (plus the sidecars started
before it) if that is more, plus overhead. Units: cpu in millicores, everything else in its own unit (bytes, pieces).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from bareboat.base.memo import remembered
from bareboat.contracts.scheduling import PodRequest
from bareboat.models import core_v1
from bareboat.models.host_ports import HostPort, host_ports
from bareboat.models.quantity import Quantity

#: What a container without a request counts as when nodes are scored (millicores, bytes).
DEFAULT_CPU = 100.0
DEFAULT_MEMORY = 200.0 * 2**20

_ENCODER = msgspec.json.Encoder()


class PodUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a placed pod takes from its node."""

    requests: dict[str, float]
    nonzero: dict[str, float]
    ports: frozenset[HostPort] = frozenset()


@remembered(4096)
def amount(resource: str, quantity: str) -> float:
    """A quantity in the scheduler's unit."""
    parsed = Quantity.parse(quantity)
    return float(parsed.milli() if resource == "cpu" else parsed.value())


def amounts(resources: Mapping[str, str]) -> dict[str, float]:
    return {name: amount(name, value) for name, value in resources.items()}


class PodUses:
    """Remembers the shares of pods by what they are made of: pods of one template get the same object."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._known: dict[bytes, PodUse] = {}

    def of(self, pod: core_v1.Pod) -> PodUse:
        spec, status = pod.spec, pod.status
        containers = [(c.resources.requests, c.ports, c.restartPolicy) for c in (*spec.initContainers, *spec.containers)]
        whole = spec.resources.requests if spec.resources else None
        granted = [(s.name, s.resources.requests) for s in (*status.containerStatuses, *status.initContainerStatuses) if s.resources]
        named = [c.name for c in (*spec.initContainers, *spec.containers)] if granted else None
        shape = _ENCODER.encode((len(spec.initContainers), containers, whole, spec.overhead, granted, named))
        found = self._known.get(shape)
        if found is None:
            if len(self._known) >= self._size:
                self._known.clear()
            found = self._known[shape] = pod_use(pod)
        return found


def pod_use(pod: core_v1.Pod) -> PodUse:
    """The pod's share of a node; counts one of the resource "pods"."""
    requests = _total(pod, lambda c: amounts(c.resources.requests))
    nonzero = _total(pod, _with_defaults)
    if pod.status.containerStatuses:
        _maximum(requests, granted := _total(pod, _granted(pod)))
        _maximum(nonzero, {k: v for k, v in granted.items() if k in nonzero})
    requests["pods"] = 1.0
    return PodUse(requests=requests, nonzero=nonzero, ports=host_ports(pod))


def pod_request(pod: core_v1.Pod, use: PodUse) -> PodRequest:
    """What policies see of the pod."""
    return PodRequest(pod=pod, requests=use.requests, nonzero=use.nonzero)


def _with_defaults(container: core_v1.Container) -> dict[str, float]:
    wanted = amounts({k: v for k, v in container.resources.requests.items() if k in ("cpu", "memory")})
    return {"cpu": wanted.get("cpu", DEFAULT_CPU), "memory": wanted.get("memory", DEFAULT_MEMORY)}


def _granted(pod: core_v1.Pod) -> Callable[[core_v1.Container], dict[str, float]]:
    """What a container has while a resize is under way; what it asks for if the node has said nothing."""
    known = {s.name: s.resources.requests for s in [*pod.status.containerStatuses, *pod.status.initContainerStatuses] if s.resources}
    return lambda container: amounts(known.get(container.name, container.resources.requests))


def _total(pod: core_v1.Pod, of: Callable[[core_v1.Container], dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for container in pod.spec.initContainers:
        wanted = of(container)
        if container.restartPolicy == "Always":
            _add(sidecars, wanted)
            _maximum(largest, sidecars)
        else:
            _maximum(largest, _sum(wanted, sidecars))
    for container in pod.spec.containers:
        _add(total, of(container))
    _add(total, sidecars)
    _maximum(total, largest)
    whole = pod.spec.resources
    if whole is not None:
        total.update({k: v for k, v in amounts(whole.requests).items() if k in ("cpu", "memory") or k.startswith("hugepages-")})
    _add(total, amounts(pod.spec.overhead))
    return total


def _add(into: dict[str, float], other: Mapping[str, float]) -> None:
    for name, value in other.items():
        into[name] = into.get(name, 0.0) + value


def _sum(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    result = dict(left)
    _add(result, right)
    return result


def _maximum(into: dict[str, float], other: Mapping[str, float]) -> None:
    for name, value in other.items():
        into[name] = max(into.get(name, 0.0), value)
