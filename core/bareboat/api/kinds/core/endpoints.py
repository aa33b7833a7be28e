"""Endpoints, the old form of EndpointSlice."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import choice, each, port_number, required
from bareboat.api.kinds.core.address_warnings import each_ip
from bareboat.api.kinds.core.addresses import not_special
from bareboat.api.kinds.core.containers import PROTOCOLS
from bareboat.api.kinds.core.paths import ip_address
from bareboat.api.strategy import Strategy
from bareboat.models.names import dns1123_label, dns1123_subdomain, qualified_name
from bareboat.models.status import Cause


class EndpointsStrategy(PlainStrategy):
    allow_create_on_update = True

    def default(self, obj: Any) -> None:
        for subset in obj.subsets:
            for port in subset.ports:
                port.protocol = port.protocol or "TCP"

    def validate_create(self, obj: Any) -> list[Cause]:
        return [cause for i, subset in enumerate(obj.subsets) for cause in _subset(subset, f"subsets[{i}]")]

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        ends = [
            (f"subsets[{i}].{part}", getattr(s, part)) for i, s in enumerate(obj.subsets) for part in ("addresses", "notReadyAddresses")
        ]
        return [text for at, addresses in ends for text in each_ip(at, (address.ip for address in addresses))]


def _subset(subset: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not subset.addresses and not subset.notReadyAddresses:
        causes.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
    for part in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(getattr(subset, part)):
            causes += _address(address, f"{at}.{part}[{i}]")
    for i, port in enumerate(subset.ports):
        causes += _port(port, f"{at}.ports[{i}]", several=len(subset.ports) > 1)
    return causes


def _address(address: Any, at: str) -> list[Cause]:
    causes = ip_address(f"{at}.ip", address.ip) + not_special(f"{at}.ip", address.ip)
    if address.hostname:
        causes += each(f"{at}.hostname", address.hostname, dns1123_label(address.hostname))
    if address.nodeName is not None:
        causes += each(f"{at}.nodeName", address.nodeName, dns1123_subdomain(address.nodeName))
    return causes


def _port(port: Any, at: str, *, several: bool) -> list[Cause]:
    causes: list[Cause] = []
    if port.name:
        causes += each(f"{at}.name", port.name, dns1123_label(port.name))
    elif several:
        causes.append(required(f"{at}.name"))
    causes += port_number(f"{at}.port", port.port) + choice(f"{at}.protocol", port.protocol, PROTOCOLS)
    if port.appProtocol is not None:
        causes += each(f"{at}.appProtocol", port.appProtocol, qualified_name(port.appProtocol))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {"core/endpoints": EndpointsStrategy}
