"""Which networks are free on this machine, so that a second cluster with the defaults does not take the first one's.

Read from the kernel's routing table, and from a file in which clusters write what they chose: a cluster has no route before its
first pod. Only defaults are ever changed: what a cluster file says stands.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from pathlib import Path

import msgspec

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import Networking

ROUTES = Path("/proc/net/route")
#: Data directory → what its cluster chose. Gone with the machine's boot, as the networks are.
CHOSEN = Path("/run/bareboat/networks.json")
Choices = dict[str, tuple[str, str]]


def taken() -> list[ipaddress.IPv4Network]:
    """Destinations of the machine's routes, the default route left out."""
    found = []
    for line in ROUTES.read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            found.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return found


def free_defaults(networking: Networking, data_dir: Path) -> Networking:
    """The same with pod and service networks that nobody has, written down for ``data_dir``. Raises ClusterError when there are none."""
    CHOSEN.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with os.fdopen(os.open(CHOSEN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        choices = _living(file.read())
        others = [ipaddress.IPv4Network(n) for owner, chosen in choices.items() if owner != str(data_dir) for n in chosen]
        busy = [*taken(), *others]
        pods = _first_free([f"10.{n}.0.0/16" for n in range(244, 200, -1)], busy)
        services = _first_free([f"10.{n}.0.0/16" for n in range(96, 128)], busy)
        file.seek(0)
        file.truncate()
        file.write(msgspec.json.encode({**choices, str(data_dir): (pods, services)}))
    return msgspec.structs.replace(networking, podCIDR=pods, serviceCIDR=services)


def _living(data: bytes) -> Choices:
    """What clusters chose whose data is still there. A file that was cut short holds nothing."""
    try:
        choices = msgspec.json.decode(data, type=Choices) if data else {}
    except msgspec.MsgspecError:
        return {}
    return {owner: chosen for owner, chosen in choices.items() if Path(owner).is_dir()}


def _first_free(candidates: list[str], routes: list[ipaddress.IPv4Network]) -> str:
    for candidate in candidates:
        network = ipaddress.IPv4Network(candidate)
        if not any(network.overlaps(route) for route in routes):
            return candidate
    raise ClusterError(f"no free network among {candidates[0]} … {candidates[-1]}: name one in the cluster file under networking")
