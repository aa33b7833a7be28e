"""ServiceCIDRs: ready while they stay; on their way out kept until no address of theirs is in use any more."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from bareboat.models import core_v1, networking_v1
from bareboat.models.meta import set_condition
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
#: A range goes no sooner than this many seconds after its deletion, so that an address just given out is seen.
GRACE = 10.0
AGAIN = 10.0
_READY = "Kubernetes Service CIDR is ready"
_HELD = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
Range = networking_v1.ServiceCIDR
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServiceCIDRController(Controller):
    name = "service-cidrs-controller"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        self._ranges = self.watch(informers.of(Range))
        self._addresses = self.watch(informers.of(networking_v1.IPAddress), lambda _key, _address: self._leaving())
        self._services = informers.of(core_v1.Service)
        self._needs.append(self._services)

    def _leaving(self) -> Iterable[str]:
        return [k for k in self._ranges.keys() if b'"deletionTimestamp"' in (self._ranges.raw(k) or b"")]  # noqa: SIM118

    async def reconcile(self, key: str) -> float | None:
        found = self._ranges.get(key)
        if found is None:
            return None
        if not found.metadata.deletionTimestamp:
            if FINALIZER not in found.metadata.finalizers:
                found.metadata.finalizers = [*found.metadata.finalizers, FINALIZER]
                found = await self.client.update(found)
            await self._condition(found, "True", "", _READY)
            return None
        if FINALIZER not in found.metadata.finalizers:
            return None
        left = parse(found.metadata.deletionTimestamp).timestamp() + GRACE - self.clock.now().timestamp()
        if self._in_use(found):
            await self._condition(found, "False", "Terminating", _HELD)
            return AGAIN
        if left > 0:
            return left
        found.metadata.finalizers = [f for f in found.metadata.finalizers if f != FINALIZER]
        await self.client.update(found)
        return None

    def _in_use(self, found: Range) -> bool:
        """Whether an address lies in it that no other range covers."""
        others = [n for r in self._ranges.list() if r.metadata.name != found.metadata.name for n in _networks(r)]
        own = [n for n in _networks(found) if not any(n.version == o.version and n.subnet_of(o) for o in others)]  # type: ignore[arg-type]
        return any(a in n for a in self._given() for n in own)

    def _given(self) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        for address in self._addresses.list():
            yield ipaddress.ip_address(address.metadata.name)
        for service in self._services.list():
            for text in service.spec.clusterIPs:
                if text != "None":
                    yield ipaddress.ip_address(text)

    async def _condition(self, found: Range, value: str, reason: str, message: str) -> None:
        if set_condition(found.status.conditions, "Ready", value, reason, message, self.clock.timestamp()):
            await self.client.update(found, subresource="status")


def _networks(found: Range) -> list[Network]:
    return [ipaddress.ip_network(text) for text in found.spec.cidrs]
