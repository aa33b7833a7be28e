"""Where a Service is reached: one of its ready endpoints, which the server dials itself, being no client of the cluster's Services."""

from __future__ import annotations

from bareboat.base.ids import Ids
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1, discovery_v1


class NoEndpoint(Exception):
    """No endpoint of the Service is ready, or what its subclasses say."""


class NoService(NoEndpoint):
    """The Service is not there."""


class NoPort(NoEndpoint):
    """The Service has no such port."""


def endpoint(reader: Reader, ids: Ids, namespace: str, name: str, port: str | int = "") -> str:
    """``address:port`` of a ready endpoint. ``port`` is a name or number of the Service, "" its only or unnamed one. Raises NoEndpoint."""
    service = reader.get(core_v1.Service, name, namespace)
    if service is None:
        raise NoService(f'service "{name}" not found')
    wanted = _port(service, port)
    if wanted is None:
        shown = port if isinstance(port, int) else f'"{port}"'
        raise NoPort(f'no service port {shown} found for service "{name}"')
    ready = [
        (found.addresses[0], p.port)
        for piece in reader.list(discovery_v1.EndpointSlice, namespace)
        if piece.metadata.labels.get("kubernetes.io/service-name") == name
        for p in piece.ports
        if (p.name or "") == (wanted.name or "")
        for found in piece.endpoints
        if found.conditions.ready is not False and found.addresses
    ]
    if not ready:
        raise NoEndpoint(f'no endpoints available for service "{name}"')
    address, number = ready[int(ids.fraction() * len(ready))]
    return f"{host(address)}:{number}"


def host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _port(service: core_v1.Service, port: str | int) -> core_v1.ServicePort | None:
    ports = service.spec.ports
    if not port:
        return ports[0] if len(ports) == 1 else next((p for p in ports if not p.name), None)
    return next((p for p in ports if str(port) in (p.name, str(p.port))), None)
