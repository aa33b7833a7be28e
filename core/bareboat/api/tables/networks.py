"""Rows of Services and what is around them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bareboat.api.tables.values import NONE, UNSET, age, several, words
from bareboat.api.tables.values import selector as selector_text


def _born(o: Any, now: datetime) -> str:
    return age(o.metadata.creationTimestamp, now)


def service(o: Any, now: datetime) -> list[Any]:
    spec = o.spec
    ports = [f"{p.port}:{p.nodePort}/{p.protocol}" if p.nodePort else f"{p.port}/{p.protocol}" for p in spec.ports]
    address = spec.clusterIPs[0] if spec.clusterIPs else spec.clusterIP or NONE
    return [o.metadata.name, spec.type, address, _external(o), words(ports), _born(o, now), selector_text(spec.selector)]


def _external(o: Any) -> str:
    spec = o.spec
    if spec.type == "ExternalName":
        return str(spec.externalName)
    found = list(spec.externalIPs)
    if spec.type == "LoadBalancer":
        found = [i.ip or i.hostname for i in o.status.loadBalancer.ingress] + found
        return words(found, "<pending>")
    return words(found)


def endpoints(o: Any, now: datetime) -> list[Any]:
    found = [
        f"{address.ip}:{port.port}" if port else address.ip
        for subset in o.subsets
        for port in (subset.ports or [None])
        for address in subset.addresses
    ]
    return [o.metadata.name, several(found), _born(o, now)]


def endpoint_slice(o: Any, now: datetime) -> list[Any]:
    ports = [str(p.port) if p.port is not None else "*" for p in o.ports]
    addresses = [a for e in o.endpoints for a in e.addresses]
    return [
        o.metadata.name,
        o.addressType,
        several(ports) if ports else UNSET,
        several(addresses) if addresses else UNSET,
        _born(o, now),
    ]


def ingress(o: Any, now: datetime) -> list[Any]:
    hosts = [r.host for r in o.spec.rules if r.host]
    ports = "80, 443" if o.spec.tls else "80"
    addresses = [i.ip or i.hostname for i in o.status.loadBalancer.ingress]
    return [o.metadata.name, o.spec.ingressClassName or NONE, several(hosts) if hosts else "*", ",".join(addresses), ports, _born(o, now)]


def ingress_class(o: Any, now: datetime) -> list[Any]:
    found = o.spec.parameters
    parameters = f"{found.kind}{'.' + found.apiGroup if found.apiGroup else ''}/{found.name}" if found is not None else NONE
    return [o.metadata.name, o.spec.controller, parameters, _born(o, now)]


def network_policy(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, selector_text(o.spec.podSelector), _born(o, now)]


def ip_address(o: Any, now: datetime) -> list[Any]:
    """With an age that has no column, as upstream."""
    parent = o.spec.parentRef
    parts = [parent.resource + (f".{parent.group}" if parent.group else ""), *([parent.namespace] if parent.namespace else []), parent.name]
    return [o.metadata.name, "/".join(parts), age(o.metadata.creationTimestamp, now)]


def service_cidr(o: Any, now: datetime) -> list[Any]:
    return [o.metadata.name, ",".join(o.spec.cidrs), _born(o, now)]


CELLS = {
    "Service": service,
    "Endpoints": endpoints,
    "EndpointSlice": endpoint_slice,
    "Ingress": ingress,
    "IngressClass": ingress_class,
    "NetworkPolicy": network_policy,
    "IPAddress": ip_address,
    "ServiceCIDR": service_cidr,
}
