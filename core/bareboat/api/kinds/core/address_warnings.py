"""Texts for Warning headers about addresses and networks that are valid, but written as no one else writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from bareboat.api.kinds.core.addresses import parse_cidr
from bareboat.api.kinds.core.paths import parse_ip
from bareboat.models.status import quote

_LATER = "will be considered invalid in a future Kubernetes release: use"


def ip_warnings(field: str, text: str) -> list[str]:
    if text.isascii() and ":" not in text:  # IPv4 is either canonical or refused
        return []
    address = parse_ip(text)
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    if address.ipv4_mapped is not None:
        return [f"{field}: non-standard IP address {quote(text)} {_LATER} {quote(str(address.ipv4_mapped))}"]
    if str(address) == text:
        return []
    return [f"{field}: IPv6 address {quote(text)} should be in RFC 5952 canonical format ({quote(str(address))})"]


def cidr_warnings(field: str, text: str) -> list[str]:
    network = parse_cidr(text)
    address = parse_ip(text.partition("/")[0])
    if network is None or address is None:
        return []
    if address != network.network_address:
        alone = f"{address}/{network.max_prefixlen}"
        return [f"{field}: CIDR value {quote(text)} is ambiguous in this context (should be {quote(str(network))} or {quote(alone)}?)"]
    if network.version == 4 or str(network) == text:
        return []
    return [f"{field}: IPv6 CIDR value {quote(text)} should be in RFC 5952 canonical format ({quote(str(network))})"]


def each_ip(field: str, addresses: Iterable[str]) -> list[str]:
    return [warning for i, address in enumerate(addresses) for warning in ip_warnings(f"{field}[{i}]", address)]


def each_cidr(field: str, networks: Iterable[str]) -> list[str]:
    return [warning for i, network in enumerate(networks) for warning in cidr_warnings(f"{field}[{i}]", network)]
