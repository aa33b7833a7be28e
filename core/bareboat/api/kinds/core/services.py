"""Service: its defaults, and what a change of its type gives back. Its rules are in ``service_rules``."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.core.address_warnings import each_cidr, each_ip, ip_warnings
from bareboat.api.kinds.core.service_rules import (
    external,
    health_checked,
    validate_addresses,
    validate_balancer_status,
    validate_service,
    validate_service_change,
)
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import core_v1
from bareboat.models.names import dns1123_label
from bareboat.models.status import Cause


class ServiceStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return validate_balancer_status(new.status.loadBalancer, "status.loadBalancer")


class ServiceStrategy(KindStrategy):
    has_generation = False
    allow_create_on_update = True
    subresources = {"status": ServiceStatus()}
    selectable = {"spec.clusterIP": lambda s: s.spec.clusterIP, "spec.type": lambda s: s.spec.type}

    def validate_name(self, name: str) -> list[str]:
        return dns1123_label(name)

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
        if external(spec) and not spec.externalTrafficPolicy:
            spec.externalTrafficPolicy = "Cluster"
        if spec.type != "ExternalName" and spec.internalTrafficPolicy is None:
            spec.internalTrafficPolicy = "Cluster"
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)
        if obj.spec.clusterIP and not obj.spec.clusterIPs:
            obj.spec.clusterIPs = [obj.spec.clusterIP]
        self._families(obj.spec)

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        """What the server allotted stays with a client that leaves it out; a changed type gives it back."""
        new.status = old.status
        _same_addresses(new.spec, old.spec)
        _keep_allotted(new.spec, old.spec)
        _drop_unneeded(new.spec, old.spec)
        self._families(new.spec)

    def _families(self, spec: Any) -> None:
        if spec.type == "ExternalName":
            return
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or (
            "RequireDualStack" if spec.clusterIP == "None" and not spec.selector else "SingleStack"
        )
        if not spec.ipFamilies:
            both = spec.ipFamilyPolicy == "RequireDualStack"
            spec.ipFamilies = ["IPv4", "IPv6"] if both else ["IPv4"]

    def validate_create(self, obj: Any) -> list[Cause]:
        return validate_service(obj)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        wrong = validate_addresses(new)
        return wrong or validate_service_change(new, old) + validate_service(new)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        spec = obj.spec
        texts = []
        if spec.clusterIP == "None" and spec.sessionAffinity == "ClientIP":
            texts.append("spec.SessionAffinity is ignored for headless services")
        if spec.loadBalancerIP and spec.clusterIP == "None":
            texts.append("spec.loadBalancerIP is ignored for headless services")
        if spec.externalIPs and spec.clusterIP == "None":
            texts.append("spec.externalIPs is ignored for headless services")
        if spec.externalIPs and spec.type == "ExternalName":
            texts.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
        if spec.type != "ExternalName" and spec.externalName:
            texts.append('spec.externalName is ignored when spec.type is not "ExternalName"')
        if spec.trafficDistribution == "PreferClose":
            texts.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone" instead')
        if spec.clusterIP != "None":
            texts += each_ip("spec.clusterIPs", spec.clusterIPs)
        if spec.loadBalancerIP:
            texts += ip_warnings("spec.loadBalancerIP", spec.loadBalancerIP)
        texts += each_ip("spec.externalIPs", spec.externalIPs)
        return texts + each_cidr("spec.loadBalancerSourceRanges", spec.loadBalancerSourceRanges)


def _same_addresses(spec: Any, was: Any) -> None:
    """Clients that know one address only, or both fields: what they leave as it was follows what they changed."""
    if was.clusterIPs and not spec.clusterIPs and spec.clusterIP == was.clusterIP:
        spec.clusterIPs = list(was.clusterIPs)
    if spec.clusterIP and spec.clusterIP != was.clusterIP and not spec.clusterIPs:
        spec.clusterIPs = [spec.clusterIP]
    elif spec.clusterIP != was.clusterIP and spec.clusterIPs == was.clusterIPs:
        spec.clusterIPs = [spec.clusterIP] if spec.clusterIP else []


def _keep_allotted(spec: Any, was: Any) -> None:
    if "ExternalName" not in (spec.type, was.type):
        spec.clusterIP = spec.clusterIP or was.clusterIP
        if not spec.clusterIPs and spec.clusterIP == was.clusterIP:
            spec.clusterIPs = list(was.clusterIPs)
        spec.ipFamilies = spec.ipFamilies or list(was.ipFamilies)
        spec.ipFamilyPolicy = spec.ipFamilyPolicy or was.ipFamilyPolicy
    if _node_ports(spec) and _node_ports(was):
        had = {port.name: port.nodePort for port in was.ports}
        used = {port.nodePort for port in spec.ports}
        for port in spec.ports:
            if not port.nodePort and had.get(port.name, 0) not in used:
                port.nodePort = had[port.name]
    if health_checked(spec) and health_checked(was):
        spec.healthCheckNodePort = spec.healthCheckNodePort or was.healthCheckNodePort


def _node_ports(spec: Any) -> bool:
    return spec.type == "NodePort" or (spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is not False)


def _drop_unneeded(spec: Any, was: Any) -> None:
    """A field that the new type has no use for goes, if the client did not touch it."""
    if spec.type == "ExternalName" and was.type != "ExternalName":
        if (spec.clusterIP, spec.clusterIPs) == (was.clusterIP, was.clusterIPs):
            spec.clusterIP, spec.clusterIPs = "", []
        if spec.ipFamilies == was.ipFamilies:
            spec.ipFamilies = []
        if spec.ipFamilyPolicy == was.ipFamilyPolicy:
            spec.ipFamilyPolicy = None
    if _node_ports(was) and not _node_ports(spec) and {p.nodePort for p in spec.ports} == {p.nodePort for p in was.ports}:
        for port in spec.ports:
            port.nodePort = 0
    if health_checked(was) and not health_checked(spec) and spec.healthCheckNodePort == was.healthCheckNodePort:
        spec.healthCheckNodePort = 0
    if was.type == "LoadBalancer" and spec.type != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if getattr(spec, name) == getattr(was, name):
                setattr(spec, name, None)
    if external(was) and not external(spec) and spec.externalTrafficPolicy == was.externalTrafficPolicy:
        spec.externalTrafficPolicy = ""


STRATEGIES: dict[str, type[Strategy]] = {"core/services": ServiceStrategy}
