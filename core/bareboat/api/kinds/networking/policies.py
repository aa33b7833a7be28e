"""NetworkPolicy, IPAddress and ServiceCIDR."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds import capabilities
from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import IMMUTABLE, each, forbidden, immutable, invalid, named, one_of, port_number, required
from bareboat.api.kinds.core.address_warnings import cidr_warnings, each_cidr
from bareboat.api.kinds.core.addresses import cidr, family, parse_cidr, strict_cidr, strict_ip
from bareboat.api.kinds.core.containers import PROTOCOLS
from bareboat.api.kinds.names import path_segment
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models.names import dns1123_subdomain, port_name
from bareboat.models.status import Cause

_TYPES = ("Egress", "Ingress")
_NOT_ENFORCED = "no network policy driver is enabled: this NetworkPolicy is kept, not enforced"


class NetworkPolicyStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        if not spec.policyTypes:
            spec.policyTypes = ["Ingress", *(["Egress"] if spec.egress else [])]
        for rule in [*spec.ingress, *spec.egress]:
            for port in rule.ports:
                port.protocol = "TCP" if port.protocol is None else port.protocol

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = validate_selector(spec.podSelector, "spec.podSelector")
        for i, rule in enumerate(spec.ingress):
            causes += _rule(rule.ports, rule.from_, f"spec.ingress[{i}]", "from")
        for i, rule in enumerate(spec.egress):
            causes += _rule(rule.ports, rule.to, f"spec.egress[{i}]", "to")
        if len(spec.policyTypes) > len(_TYPES):
            return [*causes, invalid("spec.policyTypes", spec.policyTypes, "may not specify more than two policyTypes")]
        for i, kind in enumerate(spec.policyTypes):
            causes += one_of(f"spec.policyTypes[{i}]", kind, _TYPES)
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        texts = [] if capabilities.CURRENT.network_policies else [_NOT_ENFORCED]
        for part, side in (("ingress", "from_"), ("egress", "to")):
            for i, rule in enumerate(getattr(obj.spec, part)):
                for j, peer in enumerate(getattr(rule, side)):
                    if peer.ipBlock is not None:
                        at = f"spec.{part}[{i}].{side.rstrip('_')}[{j}].ipBlock"
                        texts += cidr_warnings(f"{at}.cidr", peer.ipBlock.cidr) + each_cidr(f"{at}.except", peer.ipBlock.except_)
        return texts


def _rule(ports: list[Any], peers: list[Any], at: str, name: str) -> list[Cause]:
    causes = [cause for i, port in enumerate(ports) for cause in _port(port, f"{at}.ports[{i}]")]
    return causes + [cause for i, peer in enumerate(peers) for cause in _peer(peer, f"{at}.{name}[{i}]")]


def _port(port: Any, at: str) -> list[Cause]:
    causes = one_of(f"{at}.protocol", port.protocol, PROTOCOLS) if port.protocol is not None else []
    number, end = port.port, port.endPort
    if number is None:
        return causes + ([invalid(f"{at}.endPort", end, "may not be specified when `port` is not specified")] if end is not None else [])
    if isinstance(number, str):
        if end is not None:
            causes.append(invalid(f"{at}.endPort", end, "may not be specified when `port` is non-numeric"))
        return causes + each(f"{at}.port", number, port_name(number))
    causes += port_number(f"{at}.port", number)
    if end is not None and end < number:
        causes.append(invalid(f"{at}.endPort", number, "must be greater than or equal to `port`"))
    return causes + (port_number(f"{at}.endPort", end) if end is not None else [])


def _peer(peer: Any, at: str) -> list[Cause]:
    causes = validate_selector(peer.podSelector, f"{at}.podSelector")
    causes += validate_selector(peer.namespaceSelector, f"{at}.namespaceSelector")
    selects = peer.podSelector is not None or peer.namespaceSelector is not None
    if peer.ipBlock is not None:
        causes += _block(peer.ipBlock, f"{at}.ipBlock")
        if selects:
            causes.append(forbidden(at, "may not specify both ipBlock and another peer"))
    elif not selects:
        causes.append(required(at, "must specify a peer"))
    return causes


def _block(block: Any, at: str) -> list[Cause]:
    if not block.cidr:
        return [required(f"{at}.cidr")]
    causes = cidr(f"{at}.cidr", block.cidr)
    whole = parse_cidr(block.cidr)
    if whole is None:
        return causes
    for i, text in enumerate(block.except_):
        field = f"{at}.except[{i}]"
        part = parse_cidr(text)
        causes += cidr(field, text)
        if part is None:
            continue
        inside = part.version == whole.version and part.network_address in whole
        if not inside or whole.prefixlen >= part.prefixlen:
            causes.append(invalid(field, text, "must be a strict subset of `cidr`"))
    return causes


class IPAddressStrategy(PlainStrategy):
    """An address of a Service; its name is the address."""

    def validate_name(self, name: str) -> list[str]:
        return [cause.message.partition(": ")[2].partition(": ")[2] for cause in strict_ip("", name)]

    def validate_create(self, obj: Any) -> list[Cause]:
        parent, at = obj.spec.parentRef, "spec.parentRef"
        if parent is None:
            return [required(at)]
        causes = each(f"{at}.group", parent.group, dns1123_subdomain(parent.group)) if parent.group else []
        for name in ("resource", "name"):
            causes += named(f"{at}.{name}", getattr(parent, name), path_segment)
        return causes + each(f"{at}.namespace", parent.namespace, path_segment(parent.namespace))

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.parentRef", new.spec.parentRef, old.spec.parentRef)


class ServiceCIDRStrategy(PlainStrategy):
    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)

    def validate_create(self, obj: Any) -> list[Cause]:
        return _ranges(obj.spec.cidrs)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        now, before, field = new.spec.cidrs, old.spec.cidrs, "spec.cidrs"
        if len(now) == len(before):
            pairs = enumerate(zip(now, before, strict=True))
            return [invalid(f"{field}[{i}]", a, IMMUTABLE) for i, (a, b) in pairs if a != b]
        if len(before) == 1 and len(now) == 2:
            causes = [] if now[0] == before[0] else [invalid(f"{field}[0]", now[0], IMMUTABLE)]
            return causes + _ranges(now)
        return [invalid(field, now or None, IMMUTABLE)]


def _ranges(ranges: list[str]) -> list[Cause]:
    field = "spec.cidrs"
    if not ranges:
        return [required(field, "at least one CIDR required")]
    if len(ranges) > 2:
        return [invalid(field, {"cidrs": ranges}, "may only hold up to 2 values")]
    causes = [cause for i, text in enumerate(ranges) for cause in strict_cidr(f"{field}[{i}]", text)]
    if len(ranges) == 2 and family(ranges[0]) == family(ranges[1]) != "":
        message = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        causes.append(invalid(field, ranges, message))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {
    "networking.k8s.io/networkpolicies": NetworkPolicyStrategy,
    "networking.k8s.io/ipaddresses": IPAddressStrategy,
    "networking.k8s.io/servicecidrs": ServiceCIDRStrategy,
}
