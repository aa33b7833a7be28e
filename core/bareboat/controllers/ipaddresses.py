"""IPAddresses: one for every cluster IP that a Service has, gone when the Service has it no more (KEP-1880).

The allocator of the API is what keeps addresses apart; these objects show who has which. Addresses that people made themselves are
left alone.
"""

from __future__ import annotations

import ipaddress

from bareboat.models import core_v1, meta_v1, networking_v1
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

FAMILY, MANAGER = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
OURS = "ipallocator.k8s.io"
_BY_ADDRESS = "clusterIPs"


def addresses(service: core_v1.Service) -> list[str]:
    """The cluster IPs of a Service; none for a headless one."""
    return [text for text in service.spec.clusterIPs or [service.spec.clusterIP] if text not in ("", "None")]


class IPAddressController(Controller):
    """Keys are addresses."""

    name = "ip-address-controller"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        services = informers.of(core_v1.Service)
        services.add_index(_BY_ADDRESS, addresses)
        self._services = self.watch(services, lambda _key, service: addresses(service))
        self._shown = self.watch(informers.of(networking_v1.IPAddress), lambda _key, shown: [shown.metadata.name])

    async def reconcile(self, key: str) -> float | None:
        owners = self._services.by_index(_BY_ADDRESS, key)
        shown = self._shown.get(f"/{key}")
        if shown is not None and shown.metadata.labels.get(MANAGER) != OURS:
            return None
        if not owners:
            if shown is not None:
                await self._remove(shown)
            return None
        namespace, _, name = owners[0].partition("/")
        parent = networking_v1.ParentReference(resource="services", namespace=namespace, name=name)
        if shown is not None and shown.spec.parentRef == parent:
            return None
        if shown is not None:  # what it refers to cannot be changed
            await self._remove(shown)
        labels = {FAMILY: f"IPv{ipaddress.ip_address(key).version}", MANAGER: OURS}
        made = networking_v1.IPAddress(
            metadata=meta_v1.ObjectMeta(name=key, labels=labels), spec=networking_v1.IPAddressSpec(parentRef=parent)
        )
        try:
            await self.client.create(made)
        except AlreadyExists:
            return 1.0
        return None

    async def _remove(self, shown: networking_v1.IPAddress) -> None:
        try:
            await self.client.delete(networking_v1.IPAddress, shown.metadata.name, uid=shown.metadata.uid)
        except NotFound:
            return
