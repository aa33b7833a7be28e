"""Which address belongs to which attachment, on disk before it is used, so that a restart neither forgets nor reuses one.

The pool is the node's pod CIDR without its network, gateway (first) and broadcast address. Addresses are handed out in
turn, so that one just released is not reused at once.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import msgspec

from bareboat.contracts.cni import Attachment
from bareboat.contracts.errors import Exhausted, InvalidConfig


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """``interface`` is the host end of the pair; ``address`` without prefix length."""

    attachment: Attachment
    address: str
    interface: str
    mac: str = ""


class _Book(msgspec.Struct, kw_only=True):
    cidr: str = ""
    last: str = ""
    leases: dict[str, Lease] = {}


class AddressBook:
    """One file; every change is on disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book = msgspec.json.decode(path.read_bytes(), type=_Book) if path.exists() else _Book()

    @property
    def leases(self) -> dict[str, Lease]:
        return self._book.leases

    def use(self, cidr: str) -> None:
        """Set the pool. Raises InvalidConfig for a bad CIDR, or a change while addresses are in use."""
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise InvalidConfig(f"pod CIDR {cidr!r}: {error}") from error
        if network.num_addresses < 4:
            raise InvalidConfig(f"pod CIDR {cidr!r} has no room for pods: /30 is the smallest")
        if self._book.cidr not in ("", cidr) and self._book.leases:
            raise InvalidConfig(f"pod CIDR changed from {self._book.cidr} to {cidr} while {len(self._book.leases)} addresses are in use")
        self._book.cidr = cidr

    @property
    def network(self) -> ipaddress.IPv4Network:
        if not self._book.cidr:
            raise InvalidConfig("the network is not configured yet: the node has no pod CIDR")
        return ipaddress.IPv4Network(self._book.cidr)

    @property
    def gateway(self) -> str:
        return str(self.network[1])

    def take(self, key: str, attachment: Attachment, interface: str) -> Lease:
        """The lease of ``key``; a new one if it has none. Raises Exhausted."""
        known = self._book.leases.get(key)
        if known is None:
            known = Lease(attachment=attachment, address=self._free(), interface=interface)
            self._book.leases[key] = known
            self._book.last = known.address
            self._save()
        return known

    def note(self, key: str, lease: Lease) -> None:
        self._book.leases[key] = lease
        self._save()

    def release(self, key: str) -> None:
        if self._book.leases.pop(key, None) is not None:
            self._save()

    def _free(self) -> str:
        network = self.network
        first, last = int(network[2]), int(network[-2])
        taken = {int(ipaddress.IPv4Address(lease.address)) for lease in self._book.leases.values()}
        start = int(ipaddress.IPv4Address(self._book.last)) + 1 if self._book.last else first
        size = last - first + 1
        for offset in range(size):
            candidate = first + (start - first + offset) % size
            if candidate not in taken:
                return str(ipaddress.IPv4Address(candidate))
        raise Exhausted(f"no free address in {network}: {len(taken)} in use", reason="AddressesExhausted")

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self._book))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
