"""EndpointSlice."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import choice, duplicate, each, immutable, invalid, one_of, required, too_many
from bareboat.api.kinds.core.address_warnings import each_ip
from bareboat.api.kinds.core.addresses import IP_FAULT, family, not_special
from bareboat.api.kinds.core.containers import PROTOCOLS
from bareboat.api.kinds.core.paths import parse_ip
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models.names import dns1123_label, dns1123_subdomain, qualified_name
from bareboat.models.status import Cause

_ADDRESSES, _ENDPOINTS, _PORTS, _HINTS, _TOPOLOGY = 100, 1000, 100, 8, 16
_TYPES = ("FQDN", "IPv4", "IPv6")


class EndpointSliceStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        for port in obj.ports:
            port.protocol = "TCP" if port.protocol is None else port.protocol
            port.name = "" if port.name is None else port.name

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        super().prepare_update(new, old, ctx)
        if new.metadata.labels != old.metadata.labels:
            new.metadata.generation = old.metadata.generation + 1

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = choice("addressType", obj.addressType, _TYPES)
        return causes + _endpoints(obj.endpoints, obj.addressType) + _ports(obj.ports)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        if obj.addressType not in ("IPv4", "IPv6"):
            return []
        return [text for i, end in enumerate(obj.endpoints) for text in each_ip(f"endpoints[{i}].addresses", end.addresses)]

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("addressType", new.addressType, old.addressType)


def _endpoints(endpoints: list[Any], kind: str) -> list[Cause]:
    if len(endpoints) > _ENDPOINTS:
        return [too_many("endpoints", len(endpoints), _ENDPOINTS)]
    causes: list[Cause] = []
    for i, endpoint in enumerate(endpoints):
        at = f"endpoints[{i}]"
        causes += _addresses(endpoint.addresses, kind, f"{at}.addresses")
        causes += _topology(endpoint.deprecatedTopology, f"{at}.deprecatedTopology")
        if endpoint.nodeName is not None:
            causes += each(f"{at}.nodeName", endpoint.nodeName, dns1123_subdomain(endpoint.nodeName))
        if endpoint.hostname is not None:
            causes += each(f"{at}.hostname", endpoint.hostname, dns1123_label(endpoint.hostname))
        if endpoint.hints is not None:
            causes += _hints(endpoint.hints, f"{at}.hints")
    return causes


def _addresses(addresses: list[str], kind: str, at: str) -> list[Cause]:
    if not addresses:
        return [required(at, "must contain at least 1 address")]
    if len(addresses) > _ADDRESSES:
        return [too_many(at, len(addresses), _ADDRESSES)]
    causes: list[Cause] = []
    for i, address in enumerate(addresses):
        field = f"{at}[{i}]"
        if kind == "FQDN":
            causes += _fqdn(field, address)
        elif kind in ("IPv4", "IPv6"):
            fault = f"must be an {kind} address" if parse_ip(address) is not None else IP_FAULT
            causes += [invalid(field, address, fault)] if family(address) != kind else not_special(field, address)
    return causes


def _fqdn(field: str, name: str) -> list[Cause]:
    if not name:
        return [required(field)]
    bare = name.removesuffix(".")
    causes = each(field, name, dns1123_subdomain(bare))
    if not causes and "." not in bare:
        causes.append(invalid(field, name, "should be a domain with at least two segments separated by dots"))
    return causes


def _topology(topology: dict[str, str], at: str) -> list[Cause]:
    causes = [too_many(at, len(topology), _TOPOLOGY)] if len(topology) > _TOPOLOGY else []
    if "kubernetes.io/hostname" in topology:
        causes.append(invalid(f"{at}[kubernetes.io/hostname]", topology["kubernetes.io/hostname"], "may not be set"))
    return causes


def _hints(hints: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("forZones", "forNodes"):
        listed = getattr(hints, part)
        if len(listed) > _HINTS:
            causes.append(too_many(f"{at}.{part}", len(listed), _HINTS))
            continue
        seen: set[str] = set()
        for i, hint in enumerate(listed):
            field = f"{at}.{part}[{i}].name"
            check = qualified_name if part == "forZones" else dns1123_subdomain
            causes += [duplicate(field, hint.name)] if hint.name in seen else each(field, hint.name, check(hint.name))
            seen.add(hint.name)
    return causes


def _ports(ports: list[Any]) -> list[Cause]:
    if len(ports) > _PORTS:
        return [too_many("ports", len(ports), _PORTS)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        at = f"ports[{i}]"
        if port.name:
            causes += each(f"{at}.name", port.name, dns1123_label(port.name))
        if port.name in seen:
            causes.append(duplicate(f"{at}.name", port.name))
        seen.add(port.name or "")
        causes += one_of(f"{at}.protocol", port.protocol, PROTOCOLS)
        if port.appProtocol is not None:
            causes += each(f"{at}.appProtocol", port.appProtocol, qualified_name(port.appProtocol))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {"discovery.k8s.io/endpointslices": EndpointSliceStrategy}
