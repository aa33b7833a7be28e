"""IP addresses and networks inside objects: which are written well, and which are no one's."""

from __future__ import annotations

import ipaddress

from bareboat.api.kinds.causes import invalid
from bareboat.api.kinds.core.paths import parse_ip
from bareboat.models.status import Cause

CIDR_FAULT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
IP_FAULT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_cidr(text: str) -> Network | None:
    """Bits behind the prefix are allowed here; ``strict_cidr`` refuses them."""
    address, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdigit() or parse_ip(address) is None:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def cidr(field: str, text: str) -> list[Cause]:
    return [] if parse_cidr(text) is not None else [invalid(field, text, CIDR_FAULT)]


def strict_cidr(field: str, text: str) -> list[Cause]:
    """In its canonical form."""
    network = parse_cidr(text)
    if network is None:
        return [invalid(field, text, CIDR_FAULT)]
    if text == str(network):
        return []
    if text.partition("/")[0] != str(network.network_address):
        message = f'must not have bits set beyond the prefix length (should be "{network}")'
        if parse_ip(text.partition("/")[0]) != network.network_address:
            return [invalid(field, text, message)]
    return [invalid(field, text, f'must be in canonical form ("{network}")')]


def strict_ip(field: str, text: str) -> list[Cause]:
    address = parse_ip(text)
    if address is None:
        return [invalid(field, text, IP_FAULT)]
    return [] if text == str(address) else [invalid(field, text, f'must be in canonical form ("{address}")')]


def family(text: str) -> str:
    """Of an address or network; "" for what is neither."""
    found = parse_ip(text.partition("/")[0])
    return "" if found is None else f"IPv{found.version}"


def not_special(field: str, text: str) -> list[Cause]:
    """Neither unspecified, of this host, nor of one link."""
    address = parse_ip(text)
    if address is None:
        return [invalid(field, text, "must be a valid IP address")]
    if address.is_unspecified:
        return [invalid(field, text, f"may not be unspecified ({text})")]
    if address.is_loopback:
        return [invalid(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if address.is_link_local:
        return [invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    if address in _MULTICAST[address.version]:
        return [invalid(field, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    return []


_MULTICAST: dict[int, Network] = {4: ipaddress.IPv4Network("224.0.0.0/24"), 6: ipaddress.IPv6Network("ff02::/16")}
