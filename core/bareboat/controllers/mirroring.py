"""EndpointSlices for Endpoints that people write themselves, for Services without a selector.

Keys are Endpoints. Each subset becomes one slice per address family; slices of the same ports and family are kept and updated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.controllers.endpoints import MANAGED_LABEL, SERVICE_LABEL
from bareboat.models import core_v1, discovery_v1, meta_v1
from bareboat.models.codec import encode
from bareboat.models.meta import owner_reference
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

MIRROR = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
#: Addresses of a subset that are mirrored at most.
MOST = 1000
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", "endpoints.kubernetes.io/last-change-trigger-time"})


class EndpointSliceMirroringController(Controller):
    name = "endpointslicemirroring-controller"

    def setup(self, informers: InformerFactory) -> None:
        self._endpoints = self.watch(informers.of(core_v1.Endpoints))
        self._services = self.watch(informers.of(core_v1.Service))
        self._slices = informers.of(discovery_v1.EndpointSlice)
        self._slices.add_index("mirror", _mirrored)
        self.watch(self._slices, lambda _key, found: _mirrored(found))
        self._resource = self.client.scheme.by_type(core_v1.Endpoints)

    async def reconcile(self, key: str) -> float | None:
        known = [s for k in self._slices.by_index("mirror", key) if (s := self._slices.get(k)) is not None]
        endpoints, service = self._endpoints.get(key), self._services.get(key)
        wanted: list[discovery_v1.EndpointSlice] = []
        if endpoints is not None and service is not None and not service.spec.selector and _should_mirror(endpoints):
            wanted = self._wanted(endpoints)
        for found in known:
            match = next((w for w in wanted if _identity(w) == _identity(found)), None)
            if match is None:
                await self._delete(found)
                continue
            wanted.remove(match)
            if _content(match) != _content(found):
                match.metadata = _merged(found, match)
                await self.client.update(match)
        for made in wanted:
            await self.client.create(made)
        return None

    async def _delete(self, found: discovery_v1.EndpointSlice) -> None:
        try:
            await self.client.delete(discovery_v1.EndpointSlice, found.metadata.name, found.metadata.namespace)
        except NotFound:
            return

    def _wanted(self, endpoints: core_v1.Endpoints) -> list[discovery_v1.EndpointSlice]:
        slices = []
        for subset in endpoints.subsets:
            listed = [_endpoint(a, True) for a in subset.addresses] + [_endpoint(a, False) for a in subset.notReadyAddresses]
            ports = [
                discovery_v1.EndpointPort(name=p.name, protocol=p.protocol, port=p.port, appProtocol=p.appProtocol) for p in subset.ports
            ]
            for family in ("IPv4", "IPv6"):
                chosen = [e for e in listed[:MOST] if (":" in e.addresses[0]) == (family == "IPv6")]
                if chosen:
                    slices.append(self._slice(endpoints, family, ports, chosen))
        return slices

    def _slice(self, endpoints: core_v1.Endpoints, family: str, ports: list[Any], listed: list[Any]) -> discovery_v1.EndpointSlice:
        meta = endpoints.metadata
        made = meta_v1.ObjectMeta(
            generateName=f"{meta.name}-",
            namespace=meta.namespace,
            labels={**meta.labels, SERVICE_LABEL: meta.name, MANAGED_LABEL: MIRROR},
            annotations={k: v for k, v in meta.annotations.items() if k not in _NOT_COPIED},
            ownerReferences=[owner_reference(endpoints, self._resource)],
        )
        return discovery_v1.EndpointSlice(metadata=made, addressType=family, ports=ports, endpoints=listed)


def _should_mirror(endpoints: core_v1.Endpoints) -> bool:
    meta = endpoints.metadata
    return meta.labels.get(SKIP) != "true" and LEADER not in meta.annotations and not meta.deletionTimestamp


def _mirrored(found: discovery_v1.EndpointSlice) -> Iterable[str]:
    labels = found.metadata.labels
    if labels.get(MANAGED_LABEL) == MIRROR and SERVICE_LABEL in labels:
        return (f"{found.metadata.namespace}/{labels[SERVICE_LABEL]}",)
    return ()


def _port(port: core_v1.EndpointPort) -> discovery_v1.EndpointPort:
    return discovery_v1.EndpointPort(name=port.name, protocol=port.protocol, port=port.port, appProtocol=port.appProtocol)


def _endpoint(address: core_v1.EndpointAddress, ready: bool) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[address.ip],
        conditions=discovery_v1.EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        nodeName=address.nodeName,
        targetRef=address.targetRef,
    )


def _identity(found: discovery_v1.EndpointSlice) -> tuple[Any, ...]:
    return found.addressType, tuple(sorted((p.name or "", p.protocol or "TCP", p.port or 0, p.appProtocol or "") for p in found.ports))


def _content(found: discovery_v1.EndpointSlice) -> tuple[Any, ...]:
    return found.metadata.labels, found.metadata.annotations, sorted(encode(e) for e in found.endpoints)


def _merged(found: discovery_v1.EndpointSlice, wanted: discovery_v1.EndpointSlice) -> meta_v1.ObjectMeta:
    meta = found.metadata
    meta.labels, meta.annotations = wanted.metadata.labels, wanted.metadata.annotations
    return meta
