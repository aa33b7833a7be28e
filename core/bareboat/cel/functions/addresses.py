"""ip() and cidr(): addresses and networks of both families, in the strict spelling that Go takes."""

from __future__ import annotations

import ipaddress
from typing import Any

from bareboat.cel.functions.function import Function, Opaque, inside, opaque

IP, CIDR = "net.IP", "net.CIDR"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(text: str) -> Address:
    """Raises ValueError. Zones and IPv4 inside IPv6 are refused, as upstream."""
    if "%" in text:
        raise ValueError(f"IP Address {text!r} with zone value is not allowed")
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        raise ValueError(f"IPv4-mapped IPv6 address {text!r} is not allowed")
    return found


def _network(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if "/" not in text or not text.rpartition("/")[2].isdigit():
        raise ValueError(f"network address parse error during conversion from string: {text!r}")
    _address(text.partition("/")[0])
    return ipaddress.ip_interface(text)


def _ok(check: Any, text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


def _of(value: Opaque) -> Address:
    return _address(inside(IP, value))


def _net(value: Opaque) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    return _network(inside(CIDR, value))


def _contains(cidr: Opaque, other: Opaque | str) -> bool:
    address = _address(other) if isinstance(other, str) else _of(other)
    return address.version == _net(cidr).version and address in _net(cidr).network


def _contains_network(cidr: Opaque, other: Opaque | str) -> bool:
    mine, theirs = _net(cidr).network, (_network(other) if isinstance(other, str) else _net(other)).network
    return mine.version == theirs.version and theirs.prefixlen >= mine.prefixlen and theirs.network_address in mine


def _text(value: Opaque) -> str:
    for kind in (IP, CIDR):
        if kind in value:
            return str(value[kind])
    raise ValueError("no such overload: string")


FUNCTIONS = (
    Function("ip", lambda t: opaque(IP, str(_address(t))), "string", "map"),
    Function("isIP", lambda t: _ok(_address, t), "string", "bool"),
    Function("ip.isCanonical", lambda t: str(_address(t)) == t, "string", "bool"),
    Function("family", lambda v: _of(v).version, "map", "int", member=True),
    Function("isUnspecified", lambda v: _of(v).is_unspecified, "map", "bool", member=True),
    Function("isLoopback", lambda v: _of(v).is_loopback, "map", "bool", member=True),
    Function("isLinkLocalMulticast", lambda v: _local_multicast(_of(v)), "map", "bool", member=True),
    Function("isLinkLocalUnicast", lambda v: _of(v).is_link_local, "map", "bool", member=True),
    Function("isGlobalUnicast", lambda v: _global_unicast(_of(v)), "map", "bool", member=True),
    Function("cidr", lambda t: opaque(CIDR, str(_network(t))), "string", "map"),
    Function("isCIDR", lambda t: _ok(_network, t), "string", "bool"),
    Function("containsIP", _contains, "map map", "bool", member=True),
    Function("containsIP", _contains, "map string", "bool", member=True),
    Function("containsCIDR", _contains_network, "map map", "bool", member=True),
    Function("containsCIDR", _contains_network, "map string", "bool", member=True),
    Function("ip", lambda v: opaque(IP, str(_net(v).ip)), "map", "map", member=True),
    Function("masked", lambda v: opaque(CIDR, str(_net(v).network)), "map", "map", member=True),
    Function("prefixLength", lambda v: _net(v).network.prefixlen, "map", "int", member=True),
    Function("string", _text, "map", "string"),
)


def _local_multicast(address: Address) -> bool:
    local = "224.0.0.0/24" if address.version == 4 else "ff02::/16"
    return address in ipaddress.ip_network(local)


def _global_unicast(address: Address) -> bool:
    everyone = address == ipaddress.IPv4Address("255.255.255.255")
    return not (everyone or address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)
