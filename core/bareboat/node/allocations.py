"""What the pods of a node have been given, so that a pod that comes or grows is told whether there is room.

What comes in: the requests of pods, and their ports on the host. What goes out: what does not fit, and why. Amounts are CPU in
thousandths, the rest in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from bareboat.models import core_v1
from bareboat.models.host_ports import HostPort, ports_clash
from bareboat.models.quantity import Quantity
from bareboat.node.status import is_sidecar

Amounts = dict[str, int]


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """``capacity`` is what the node has, ``used`` what other pods have of it."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def hopeless(self) -> bool:
        """Not even an empty node has as much."""
        return self.requested > self.capacity


class Allocations:
    """Of one node; ``capacity`` is its allocatable, as quantities."""

    def __init__(self, capacity: Mapping[str, str]) -> None:
        self._capacity = capacity
        self._pods: dict[str, Amounts] = {}
        self._ports: dict[str, frozenset[HostPort]] = {}

    def claim(self, uid: str, ports: frozenset[HostPort]) -> None:
        self._ports[uid] = ports

    def taken(self, uid: str, ports: frozenset[HostPort]) -> bool:
        """Whether another pod has one of them."""
        return ports_clash(ports, (port for other, held in self._ports.items() if other != uid for port in held))

    def set(self, uid: str, requests: Amounts) -> None:
        self._pods[uid] = requests

    def forget(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._ports.pop(uid, None)

    def shortage(self, uid: str, requests: Amounts, names: Iterable[str] = ("cpu", "memory", "ephemeral-storage")) -> Shortage | None:
        """The first resource of which there is not enough for the pod beside all the others."""
        for name in names:
            if not requests.get(name) or name not in self._capacity:
                continue
            used = sum(amounts.get(name, 0) for other, amounts in self._pods.items() if other != uid)
            capacity = amount(name, self._capacity[name])
            if used + requests[name] > capacity:
                return Shortage(resource=name, requested=requests[name], used=used, capacity=capacity)
        return None

    def is_full(self, uid: str) -> bool:
        """No pod more."""
        return uid not in self._pods and len(self._pods) >= int(self._capacity.get("pods", "110"))


def amount(name: str, text: str) -> int:
    quantity = Quantity.parse(text)
    return quantity.milli() if name == "cpu" else quantity.value()


def requests_of(pod: core_v1.Pod, resources: Mapping[str, core_v1.ResourceRequirements] | None = None) -> Amounts:
    """Containers and sidecars together, or the largest init container with the sidecars before it; the overhead on top.

    ``resources`` by container go before those of the spec.
    """

    def of(container: core_v1.Container) -> Amounts:
        found = (resources or {}).get(container.name, container.resources)
        return {name: amount(name, text) for name, text in found.requests.items()}

    running: Amounts = {}
    for container in pod.spec.containers:
        running = _plus(running, of(container))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in pod.spec.initContainers:
        if is_sidecar(container):
            sidecars = _plus(sidecars, of(container))
        needs = sidecars if is_sidecar(container) else _plus(sidecars, of(container))
        largest = {name: max(largest.get(name, 0), needs.get(name, 0)) for name in {*largest, *needs}}
    running = _plus(running, sidecars)
    total = {name: max(running.get(name, 0), largest.get(name, 0)) for name in {*running, *largest}}
    return _plus(total, {name: amount(name, text) for name, text in pod.spec.overhead.items()})


def _plus(left: Amounts, right: Amounts) -> Amounts:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {*left, *right}}
