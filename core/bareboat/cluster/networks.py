"""Which networks are free on this machine, so that a second cluster with the defaults does not take the first one's.

Read from the kernel's routing table. Only defaults are ever changed: what a cluster file says stands.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import Networking

ROUTES = Path("/proc/net/route")


def taken() -> list[ipaddress.IPv4Network]:
    """Destinations of the machine's routes, the default route left out."""
    found = []
    for line in ROUTES.read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            found.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return found


def free_defaults(networking: Networking) -> Networking:
    """The same with pod and service networks that overlap no route. Raises ClusterError when there is none left."""
    routes = taken()
    pods = [f"10.{n}.0.0/16" for n in range(244, 200, -1)]
    services = [f"10.{n}.0.0/16" for n in range(96, 128)]
    return msgspec.structs.replace(networking, podCIDR=_first_free(pods, routes), serviceCIDR=_first_free(services, routes))


def _first_free(candidates: list[str], routes: list[ipaddress.IPv4Network]) -> str:
    for candidate in candidates:
        network = ipaddress.IPv4Network(candidate)
        if not any(network.overlaps(route) for route in routes):
            return candidate
    raise ClusterError(f"no free network among {candidates[0]} … {candidates[-1]}: name one in the cluster file under networking")
