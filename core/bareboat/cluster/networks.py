"""Which networks are free on this machine, so that clusters on the defaults do not take each other's.

Read from the kernel's routing table, and from a book in which every cluster of the machine writes what it has, also while it is down
or just starting. Only defaults are ever changed: what a cluster file says stands, and is refused if another cluster has it. What was
chosen for a cluster stays, whichever file it is started with later.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import Networking
from bareboat.cluster.layout import Layout

ROUTES = Path("/proc/net/route")
#: By data directory. It is gone after a restart of the machine, and then so are the routes.
BOOK = Path("/run/bareboat/networks.json")
Network = ipaddress.IPv4Network


def taken() -> list[Network]:
    """Destinations of the machine's routes, the default route left out."""
    found = []
    for line in ROUTES.read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            found.append(Network((destination, mask.bit_count())))
    return found


def free_defaults(networking: Networking, others: Sequence[Network] = ()) -> Networking:
    """The same with pod and service networks that overlap no route and none of ``others``. Raises ClusterError when there is none left."""
    used = [*taken(), *others]
    pods = [f"10.{n}.0.0/16" for n in range(244, 200, -1)]
    services = [f"10.{n}.0.0/16" for n in range(96, 128)]
    return msgspec.structs.replace(networking, podCIDR=_first_free(pods, used), serviceCIDR=_first_free(services, used))


def settled(layout: Layout, networking: Networking, *, former: Networking | None, separate: bool) -> Networking:
    """What the cluster is to use, written down for the others. ``former``: what it has used until now, None if nothing of it exists yet,
    so that defaults may still change; ``separate``: its Service network is known only within its node hosts. Raises ClusterError."""

    def own(chosen: Networking) -> list[str]:
        return [chosen.podCIDR] if separate else [chosen.podCIDR, chosen.serviceCIDR]

    with _book() as (others, write):
        theirs = {Network(n): place for place, networks in others.items() if place != str(layout.data_dir) for n in networks}
        if (networking.podCIDR, networking.serviceCIDR) == (Networking().podCIDR, Networking().serviceCIDR):
            if former is None:
                networking = free_defaults(networking, list(theirs))
            else:
                networking = msgspec.structs.replace(networking, podCIDR=former.podCIDR, serviceCIDR=former.serviceCIDR)
        for cidr in own(networking):
            owner = next((place for network, place in theirs.items() if network.overlaps(Network(cidr))), "")
            if owner:
                raise ClusterError(f"network {cidr} is the cluster's in {owner}: name another in the cluster file under networking")
        layout.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # the book counts clusters that have one
        write(str(layout.data_dir), own(networking))
    return networking


@contextmanager
def _book() -> Iterator[tuple[dict[str, list[str]], Callable[[str, list[str]], None]]]:
    """What is written, without clusters that are gone, and how to write more; nobody else reads it meanwhile."""
    BOOK.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(BOOK, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        found = msgspec.json.decode(text, type=dict[str, list[str]]) if text else {}
        found = {place: networks for place, networks in found.items() if Path(place).exists()}

        def write(place: str, networks: list[str]) -> None:
            file.seek(0)
            file.truncate()
            file.write(msgspec.json.encode({**found, place: networks}))

        yield found, write


def _first_free(candidates: list[str], used: list[Network]) -> str:
    for candidate in candidates:
        network = Network(candidate)
        if not any(network.overlaps(other) for other in used):
            return candidate
    raise ClusterError(f"no free network among {candidates[0]} … {candidates[-1]}: name one in the cluster file under networking")
