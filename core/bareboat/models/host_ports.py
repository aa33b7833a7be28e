"""Ports of the host that a pod has to itself, for whoever places pods and whoever runs them. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bareboat.models import core_v1

#: Address of the host, protocol, number.
HostPort = tuple[str, str, int]
#: The API's word for every address of the host.
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104


def host_ports(pod: core_v1.Pod) -> frozenset[HostPort]:
    """Of its containers and sidecars; other init containers are over before anybody could ask."""
    sidecars = (c for c in pod.spec.initContainers if c.restartPolicy == "Always")
    ports = (port for c in (*pod.spec.containers, *sidecars) for port in c.ports if port.hostPort)
    return frozenset((port.hostIP or EVERY_ADDRESS, port.protocol or "TCP", port.hostPort) for port in ports)


def ports_clash(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """Whether one of ``wanted`` is among ``taken``; every address clashes with each."""
    held = list(taken)
    return any(
        number == other_number and protocol == other_protocol and (address == other or EVERY_ADDRESS in (address, other))
        for address, protocol, number in wanted
        for other, other_protocol, other_number in held
    )
