"""What a Service must be: ports, addresses of its families, traffic policies, what only some types may have."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import choice, duplicate, each, forbidden, invalid, one_of, port_number, required, unique, unsupported
from bareboat.api.kinds.core.addresses import cidr, family, not_special
from bareboat.api.kinds.core.containers import PROTOCOLS
from bareboat.api.kinds.core.paths import ip_address, parse_ip
from bareboat.api.kinds.core.probes import target_port
from bareboat.api.kinds.metadata import validate_labels
from bareboat.models.names import dns1123_label, dns1123_subdomain, qualified_name
from bareboat.models.status import Cause

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_ONLY_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_LONGEST_AFFINITY = 86400
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")


def headless(service: Any) -> bool:
    return bool(service.spec.clusterIPs == ["None"])


def validate_service(service: Any) -> list[Cause]:
    spec = service.spec
    causes = validate_addresses(service)
    if causes:
        return causes
    causes = _annotations(service.metadata.annotations)
    if not spec.ports and not headless(service) and spec.type != "ExternalName":
        causes.append(required("spec.ports"))
    causes += _type_rules(service) + _ports(spec)
    if spec.selector:
        causes += validate_labels(spec.selector, "spec.selector")
    causes += choice("spec.sessionAffinity", spec.sessionAffinity, ("ClientIP", "None")) + _affinity(spec)
    for i, address in enumerate(spec.externalIPs):
        field = f"spec.externalIPs[{i}]"
        causes += ip_address(field, address) or not_special(field, address)
    causes += choice("spec.type", spec.type, TYPES)
    causes += _source_ranges(service) + _balancer(spec) + _traffic(spec)
    return causes


def _annotations(annotations: dict[str, str]) -> list[Cause]:
    if _MODE in annotations and _HINTS in annotations and annotations[_MODE] != annotations[_HINTS]:
        message = f"must match annotations[{_HINTS}] when both are specified"
        return [invalid(f"metadata.annotations[{_MODE}]", annotations[_MODE], message)]
    return []


def _type_rules(service: Any) -> list[Cause]:
    spec = service.spec
    if spec.type in ("LoadBalancer", "NodePort") and headless(service):
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services")]
    if spec.type != "ExternalName":
        return []
    held = [name for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if getattr(spec, name)]
    causes = [forbidden(f"spec.{name}", "may not be set for ExternalName services") for name in held]
    name = spec.externalName.removesuffix(".")
    return causes + (each("spec.externalName", name, dns1123_subdomain(name)) if name else [required("spec.externalName")])


def _ports(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for i, port in enumerate(spec.ports):
        causes += _port(port, f"spec.ports[{i}]", names, several=len(spec.ports) > 1)
    node_ports: set[tuple[str, int]] = set()
    numbers: set[tuple[str, int]] = set()
    for i, port in enumerate(spec.ports):
        where = f"spec.ports[{i}]"
        if spec.type == "ClusterIP" and port.nodePort:
            causes.append(forbidden(f"{where}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        if port.nodePort and (port.protocol, port.nodePort) in node_ports:
            causes.append(duplicate(f"{where}.nodePort", port.nodePort))
        node_ports.add((port.protocol, port.nodePort))
        if (port.protocol, port.port) in numbers:
            causes.append(duplicate(where, {"protocol": port.protocol, "port": port.port}))
        numbers.add((port.protocol, port.port))
    return causes


def _port(port: Any, at: str, names: set[str], *, several: bool) -> list[Cause]:
    causes: list[Cause] = []
    if port.name:
        causes += each(f"{at}.name", port.name, dns1123_label(port.name)) + unique(f"{at}.name", port.name, names)
    elif several:
        causes.append(required(f"{at}.name"))
    causes += port_number(f"{at}.port", port.port)
    if port.protocol not in PROTOCOLS:
        causes += choice(f"{at}.protocol", port.protocol, PROTOCOLS)
    causes += target_port(f"{at}.targetPort", port.targetPort)
    if port.appProtocol is not None:
        causes += each(f"{at}.appProtocol", port.appProtocol, qualified_name(port.appProtocol))
    return causes


def _affinity(spec: Any) -> list[Cause]:
    config, field = spec.sessionAffinityConfig, "spec.sessionAffinityConfig"
    if spec.sessionAffinity == "None" and config is not None:
        return [forbidden(field, "must not be set when session affinity is None")]
    if spec.sessionAffinity != "ClientIP":
        return []
    because = "when session affinity type is ClientIP"
    if config is None:
        return [required(field, because)]
    if config.clientIP is None:
        return [required(f"{field}.clientIP", because)]
    seconds = config.clientIP.timeoutSeconds
    if seconds is None:
        return [required(f"{field}.clientIP.timeoutSeconds", because)]
    if 0 < seconds <= _LONGEST_AFFINITY:
        return []
    return [invalid(f"{field}.clientIP.timeoutSeconds", seconds, f"must be greater than 0 and less than {_LONGEST_AFFINITY}")]


def validate_addresses(service: Any) -> list[Cause]:
    """Upstream looks at them before it looks at anything else."""
    spec = service.spec
    if spec.type == "ExternalName":
        return []
    addresses, field = spec.clusterIPs, "spec.clusterIPs"
    causes: list[Cause] = []
    if spec.clusterIP and not addresses:
        causes.append(required(field))
    elif spec.clusterIP and addresses[0] != spec.clusterIP:
        causes.append(invalid(field, addresses, "first value must match `clusterIP`"))
    elif not spec.clusterIP and addresses:
        causes.append(invalid(field, addresses, "must be empty when `clusterIP` is not specified"))
    causes += _families(spec)
    broken = False
    for i, address in enumerate(addresses):
        if i == 0 and address == "None":
            if len(addresses) > 1:
                broken = True
                causes.append(invalid(field, addresses, "'None' must be the first and only value"))
            continue
        faults = ip_address(f"{field}[{i}]", address)
        broken = broken or bool(faults)
        causes += faults
    if len(addresses) > 2:
        causes.append(invalid(field, addresses, "may only hold up to 2 values"))
    return causes if broken else causes + _dual(service)


def _families(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, name in enumerate(spec.ipFamilies):
        causes += one_of(f"spec.ipFamilies[{i}]", name, ("IPv4", "IPv6")) + unique(f"spec.ipFamilies[{i}]", name, seen)
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    if spec.ipFamilyPolicy is not None and spec.ipFamilyPolicy not in policies:
        causes.append(unsupported("spec.ipFamilyPolicy", spec.ipFamilyPolicy, policies))
    return causes


def _dual(service: Any) -> list[Cause]:
    spec = service.spec
    causes: list[Cause] = []
    if len(spec.clusterIPs) > 1 and len({family(address) for address in spec.clusterIPs}) < 2:
        causes.append(invalid("spec.clusterIPs", spec.clusterIPs, "may specify no more than one IP for each IP family"))
    if headless(service):
        return causes
    for i, (address, wanted) in enumerate(zip(spec.clusterIPs, spec.ipFamilies, strict=False)):
        if wanted in ("IPv4", "IPv6") and family(address) != wanted:
            message = f"expected an {wanted} value as indicated by `ipFamilies[{i}]`"
            causes.append(invalid(f"spec.clusterIPs[{i}]", address, message))
    return causes


def _source_ranges(service: Any) -> list[Cause]:
    """Upstream spells the field with a capital."""
    spec = service.spec
    ranges, field = spec.loadBalancerSourceRanges, "spec.LoadBalancerSourceRanges"
    causes: list[Cause] = []
    if ranges:
        if spec.type != "LoadBalancer":
            causes.append(forbidden(field, _ONLY_BALANCERS))
        return causes + [cause for i, text in enumerate(ranges) for cause in cidr(f"{field}[{i}]", text.strip())]
    annotation = service.metadata.annotations.get(_RANGES)
    if annotation is None:
        return []
    field = f"metadata.annotations[{_RANGES}]"
    if spec.type != "LoadBalancer":
        causes.append(forbidden(field, _ONLY_BALANCERS))
    texts = annotation.strip().split(",") if annotation.strip() else []
    return causes + [cause for text in texts for cause in cidr(field, text.strip())]


def _balancer(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    if spec.allocateLoadBalancerNodePorts is not None and spec.type != "LoadBalancer":
        causes.append(forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_BALANCERS))
    name = spec.loadBalancerClass
    if name is not None and spec.type == "LoadBalancer":
        causes += each("spec.loadBalancerClass", name, qualified_name(name))
    elif name is not None:
        causes.append(forbidden("spec.loadBalancerClass", _ONLY_BALANCERS))
    return causes


def external(spec: Any) -> bool:
    """Whether it can be reached from outside of the cluster."""
    return spec.type in ("LoadBalancer", "NodePort") or (spec.type == "ClusterIP" and bool(spec.externalIPs))


def health_checked(spec: Any) -> bool:
    return bool(spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local")


def _traffic(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    policy = spec.externalTrafficPolicy
    if external(spec):
        causes += choice("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    elif policy:
        causes.append(invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services"))
    check = spec.healthCheckNodePort
    if check and not health_checked(spec):
        message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", check, message))
    elif check:
        causes += port_number("spec.healthCheckNodePort", check)
    inside = spec.internalTrafficPolicy
    if inside is None and spec.type in ("NodePort", "LoadBalancer", "ClusterIP"):
        causes.append(required("spec.internalTrafficPolicy"))
    elif inside is not None:
        causes += one_of("spec.internalTrafficPolicy", inside, ("Cluster", "Local"))
    if spec.trafficDistribution is not None:
        causes += one_of("spec.trafficDistribution", spec.trafficDistribution, _DISTRIBUTIONS)
    return causes


def validate_service_change(new: Any, old: Any) -> list[Cause]:
    """What is set stays, but for a second family that comes or goes."""
    causes: list[Cause] = []
    spec, was = new.spec, old.spec
    if "ExternalName" not in (spec.type, was.type):
        if not (headless(new) and headless(old)):
            causes += _kept(spec, was, "clusterIPs", "secondary clusterIP", "primary clusterIP")
        if not headless(new) and not headless(old):
            causes += _kept(spec, was, "ipFamilies", "secondary ipFamily", "primary ipFamily")
    if spec.type == was.type == "LoadBalancer" and spec.loadBalancerClass != was.loadBalancerClass:
        causes.append(invalid("spec.loadBalancerClass", spec.loadBalancerClass, "may not change once set"))
    if health_checked(spec) and health_checked(was) and spec.healthCheckNodePort != was.healthCheckNodePort:
        causes.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return causes


def _kept(spec: Any, was: Any, name: str, second: str, first: str) -> list[Cause]:
    now, before, field = getattr(spec, name), getattr(was, name), f"spec.{name}"
    if len(now) == len(before):
        changed = [i for i, (a, b) in enumerate(zip(now, before, strict=True)) if a != b]
        return [invalid(f"{field}[{i if name == 'clusterIPs' else 0}]", now, "may not change once set") for i in changed]
    if not now:
        return [invalid(f"{field}[0]", now, f"{first} can not be unset")]
    causes: list[Cause] = []
    if before and now[0] != before[0]:
        causes.append(invalid(f"{field}[0]", now, "may not change once set"))
    if len(before) > len(now) and len(now) == 1 and spec.ipFamilyPolicy != "SingleStack":
        message = f"must be set to 'SingleStack' when releasing the {second}"
        causes.append(invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy, message))
    return causes


def validate_balancer_status(status: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, ingress in enumerate(status.ingress):
        where = f"{at}.ingress[{i}]"
        mode = getattr(ingress, "ipMode", None)
        if ingress.ip:
            causes += ip_address(f"{where}.ip", ingress.ip)
        if mode is not None and not ingress.ip:
            causes.append(forbidden(f"{where}.ipMode", "may not be specified when `ip` is not set"))
        elif mode is not None:
            causes += one_of(f"{where}.ipMode", mode, ("Proxy", "VIP"))
        if ingress.hostname:
            causes += each(f"{where}.hostname", ingress.hostname, dns1123_subdomain(ingress.hostname))
            if parse_ip(ingress.hostname) is not None:
                causes.append(invalid(f"{where}.hostname", ingress.hostname, "must be a DNS name, not an IP address"))
    return causes
