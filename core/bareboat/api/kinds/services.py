"""Service, Endpoints, EndpointSlice, Ingress, IngressClass, NetworkPolicy."""

from __future__ import annotations

import ipaddress
from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import duplicate, each, immutable, in_range, invalid, one_of, required
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.names import dns1035_label, dns1123_label, dns1123_subdomain, port_name
from bareboat.models.status import Cause

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


class ServiceStrategy(KindStrategy):
    has_generation = False
    selectable = {"spec.clusterIP": lambda s: s.spec.clusterIP, "spec.type": lambda s: s.spec.type}

    def validate_name(self, name: str) -> list[str]:
        return dns1035_label(name)

    def default(self, obj: Any) -> None:
        spec = obj.spec
        spec.sessionAffinity = spec.sessionAffinity or "None"
        spec.type = spec.type or "ClusterIP"
        if spec.sessionAffinity == "None":
            spec.sessionAffinityConfig = None
        elif spec.sessionAffinity == "ClientIP":
            config = spec.sessionAffinityConfig or core_v1.SessionAffinityConfig()
            config.clientIP = config.clientIP or core_v1.ClientIPConfig()
            if config.clientIP.timeoutSeconds is None:
                config.clientIP.timeoutSeconds = 10800
            spec.sessionAffinityConfig = config
        for port in spec.ports:
            port.protocol = port.protocol or "TCP"
            if port.targetPort in (0, ""):
                port.targetPort = port.port
        external = spec.type in ("NodePort", "LoadBalancer") or (spec.externalIPs and spec.type == "ClusterIP")
        if external and not spec.externalTrafficPolicy:
            spec.externalTrafficPolicy = "Cluster"
        if spec.type != "ExternalName" and spec.internalTrafficPolicy is None:
            spec.internalTrafficPolicy = "Cluster"
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)
        self._families(obj.spec)

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        """What the server allotted stays with a client that leaves it out; a changed type gives it back."""
        new.status = old.status
        spec, was = new.spec, old.spec
        if was.type != "ExternalName" and spec.type != "ExternalName":
            if not spec.clusterIP and not spec.clusterIPs:
                spec.clusterIP, spec.clusterIPs = was.clusterIP, list(was.clusterIPs)
            spec.ipFamilies = spec.ipFamilies or list(was.ipFamilies)
            spec.ipFamilyPolicy = spec.ipFamilyPolicy or was.ipFamilyPolicy
        elif spec.type == "ExternalName" and spec.clusterIP == was.clusterIP:
            spec.clusterIP, spec.clusterIPs, spec.ipFamilies, spec.ipFamilyPolicy = "", [], [], None
        self._node_ports(spec, was)
        self._families(spec)

    def _node_ports(self, spec: Any, was: Any) -> None:
        if spec.type in ("NodePort", "LoadBalancer"):
            had = {(p.port, p.protocol): p.nodePort for p in was.ports}
            for port in spec.ports:
                port.nodePort = port.nodePort or had.get((port.port, port.protocol), 0)
            spec.healthCheckNodePort = spec.healthCheckNodePort or was.healthCheckNodePort
        elif was.type in ("NodePort", "LoadBalancer"):
            had_ports = {p.nodePort for p in was.ports}
            for port in spec.ports:
                if port.nodePort in had_ports:
                    port.nodePort = 0
        if spec.type != "LoadBalancer" or spec.externalTrafficPolicy != "Local":
            spec.healthCheckNodePort = 0

    def _families(self, spec: Any) -> None:
        if spec.clusterIP and not spec.clusterIPs:
            spec.clusterIPs = [spec.clusterIP]
        elif spec.clusterIPs and not spec.clusterIP:
            spec.clusterIP = spec.clusterIPs[0]
        if spec.type == "ExternalName":
            return
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or (
            "RequireDualStack" if spec.clusterIP == "None" and not spec.selector else "SingleStack"
        )
        if not spec.ipFamilies:
            both = spec.ipFamilyPolicy == "RequireDualStack"
            spec.ipFamilies = ["IPv4", "IPv6"] if both else ["IPv4"]

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = one_of("spec.type", spec.type, _TYPES) + one_of("spec.sessionAffinity", spec.sessionAffinity, ("ClientIP", "None"))
        headless = spec.clusterIP == "None"
        if not spec.ports and not headless and spec.type != "ExternalName":
            causes.append(required("spec.ports"))
        if spec.type == "ExternalName":
            name = spec.externalName.removesuffix(".")
            causes += each("spec.externalName", spec.externalName, dns1123_subdomain(name)) if name else [required("spec.externalName")]
        if headless and spec.type in ("NodePort", "LoadBalancer"):
            causes.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services"))
        causes += self._ports(spec)
        for i, address in enumerate(spec.clusterIPs):
            if address != "None":
                causes += _address(address, f"spec.clusterIPs[{i}]")
        for i, address in enumerate(spec.externalIPs):
            causes += _address(address, f"spec.externalIPs[{i}]")
        if spec.externalTrafficPolicy:
            causes += one_of("spec.externalTrafficPolicy", spec.externalTrafficPolicy, ("Cluster", "Local"))
        if spec.internalTrafficPolicy:
            causes += one_of("spec.internalTrafficPolicy", spec.internalTrafficPolicy, ("Cluster", "Local"))
        return causes

    def _ports(self, spec: Any) -> list[Cause]:
        causes: list[Cause] = []
        names: set[str] = set()
        used: set[tuple[str, int]] = set()
        for i, port in enumerate(spec.ports):
            at = f"spec.ports[{i}]"
            if not port.name and len(spec.ports) > 1:
                causes.append(required(f"{at}.name"))
            elif port.name:
                causes += each(f"{at}.name", port.name, dns1123_label(port.name))
                if port.name in names:
                    causes.append(duplicate(f"{at}.name", port.name))
                names.add(port.name)
            causes += in_range(f"{at}.port", port.port, 1, 65535)
            causes += one_of(f"{at}.protocol", port.protocol, _PROTOCOLS)
            target = port.targetPort
            if isinstance(target, int):
                causes += in_range(f"{at}.targetPort", target, 1, 65535)
            else:
                causes += each(f"{at}.targetPort", target, port_name(target))
            if port.nodePort and spec.type in ("ClusterIP", "ExternalName"):
                causes.append(Cause("FieldValueForbidden", "Forbidden: may not be used when `type` is 'ClusterIP'", f"{at}.nodePort"))
            if (port.protocol, port.port) in used:
                causes.append(duplicate(at, {"protocol": port.protocol, "port": port.port}))
            used.add((port.protocol, port.port))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = self.validate_create(new)
        if old.spec.type != "ExternalName" and new.spec.type != "ExternalName" and old.spec.clusterIP:
            causes += (
                immutable("spec.clusterIPs[0]", new.spec.clusterIPs, old.spec.clusterIPs)
                if new.spec.clusterIP != old.spec.clusterIP
                else []
            )
        return causes


def _address(text: str, field: str) -> list[Cause]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return [invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    return []


class EndpointsStrategy(PlainStrategy):
    allow_create_on_update = True

    def default(self, obj: Any) -> None:
        for subset in obj.subsets:
            for port in subset.ports:
                port.protocol = port.protocol or "TCP"


class EndpointSliceStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        for port in obj.ports:
            port.protocol = "TCP" if port.protocol is None else port.protocol
            port.name = "" if port.name is None else port.name

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = one_of("addressType", obj.addressType, ("FQDN", "IPv4", "IPv6")) if obj.addressType else [required("addressType")]
        for i, endpoint in enumerate(obj.endpoints):
            if not endpoint.addresses:
                causes.append(required(f"endpoints[{i}].addresses", "must contain at least 1 address"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("addressType", new.addressType, old.addressType)


class IngressStrategy(KindStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        if not obj.spec.rules and obj.spec.defaultBackend is None:
            return [invalid("spec", [], "either `defaultBackend` or `rules` must be specified")]
        return []

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class NetworkPolicyStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        spec = obj.spec
        if not spec.policyTypes:
            spec.policyTypes = ["Ingress", *(["Egress"] if spec.egress else [])]
        for rule in [*spec.ingress, *spec.egress]:
            for port in rule.ports:
                port.protocol = "TCP" if port.protocol is None else port.protocol

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_selector(obj.spec.podSelector, "spec.podSelector") if obj.spec.podSelector is not None else []


STRATEGIES: dict[str, type[Strategy]] = {
    "core/services": ServiceStrategy,
    "core/endpoints": EndpointsStrategy,
    "discovery.k8s.io/endpointslices": EndpointSliceStrategy,
    "networking.k8s.io/ingresses": IngressStrategy,
    "networking.k8s.io/networkpolicies": NetworkPolicyStrategy,
}
