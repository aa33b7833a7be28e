"""Ingress and IngressClass."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.batch.job_spec import domain_path
from bareboat.api.kinds.causes import each, forbidden, immutable, invalid, named, one_of, port_number, required, too_long
from bareboat.api.kinds.core.paths import parse_ip
from bareboat.api.kinds.core.service_rules import validate_balancer_status
from bareboat.api.kinds.names import path_segment
from bareboat.api.strategy import Strategy, SubresourceStrategy
from bareboat.models.names import dns1123_label, dns1123_subdomain, port_name, wildcard_dns1123_subdomain
from bareboat.models.status import Cause

_CLASS = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_SEQUENCES, _SUFFIXES = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_LONGEST_CONTROLLER = 250


class IngressStatus(SubresourceStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return validate_balancer_status(new.status.loadBalancer, "status.loadBalancer")


class IngressStrategy(KindStrategy):
    subresources = {"status": IngressStatus()}

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _spec(obj.spec)
        wanted = obj.metadata.annotations.get(_CLASS)
        if wanted is not None and obj.spec.ingressClassName is not None and wanted != obj.spec.ingressClassName:
            causes.append(invalid(f"annotations.{_CLASS}", wanted, "must match `ingressClassName` when both are specified"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return _spec(new.spec)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        if _CLASS in obj.metadata.annotations:
            return [f"annotation \"{_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]
        return []


def _spec(spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    if not spec.rules and spec.defaultBackend is None:
        causes.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if spec.defaultBackend is not None:
        causes += _backend(spec.defaultBackend, "spec.defaultBackend")
    for i, rule in enumerate(spec.rules):
        causes += _rule(rule, f"spec.rules[{i}]")
    for i, tls in enumerate(spec.tls):
        for j, host in enumerate(tls.hosts):
            check = wildcard_dns1123_subdomain if "*" in host else dns1123_subdomain
            causes += each(f"spec.tls[{i}].hosts[{j}]", host, check(host))
        if tls.secretName:
            causes += each(f"spec.tls[{i}].secretName", tls.secretName, dns1123_subdomain(tls.secretName))
    if spec.ingressClassName is not None:
        causes += each("spec.ingressClassName", spec.ingressClassName, dns1123_subdomain(spec.ingressClassName))
    return causes


def _rule(rule: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if rule.host:
        if parse_ip(rule.host) is not None:
            causes.append(invalid(f"{at}.host", rule.host, "must be a DNS name, not an IP address"))
        check = wildcard_dns1123_subdomain if "*" in rule.host else dns1123_subdomain
        causes += each(f"{at}.host", rule.host, check(rule.host))
    if rule.http is None:
        return causes
    if not rule.http.paths:
        causes.append(required(f"{at}.http.paths"))
    return causes + [cause for i, path in enumerate(rule.http.paths) for cause in _path(path, f"{at}.http.paths[{i}]")]


def _path(path: Any, at: str) -> list[Cause]:
    kind, text, field = path.pathType, path.path, f"{at}.path"
    if kind is None:
        return [required(f"{at}.pathType", "pathType must be specified")]
    causes: list[Cause] = []
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            causes.append(invalid(field, text, "must be an absolute path"))
        causes += [invalid(field, text, f"must not contain '{part}'") for part in _SEQUENCES if part in text]
        causes += [invalid(field, text, f"cannot end with '{part}'") for part in _SUFFIXES if text.endswith(part)]
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            causes.append(invalid(field, text, "must be an absolute path"))
    else:
        causes += one_of(f"{at}.pathType", kind, _PATH_TYPES)
    return causes + _backend(path.backend, f"{at}.backend")


def _backend(backend: Any, at: str) -> list[Cause]:
    resource, service = backend.resource, backend.service
    if resource is not None and service is not None:
        return [invalid(at, "", "cannot set both resource and service backends")]
    if resource is not None:
        causes = (
            each(f"{at}.resource.apiGroup", resource.apiGroup, dns1123_subdomain(resource.apiGroup))
            if resource.apiGroup is not None
            else []
        )
        return causes + [c for name in ("kind", "name") for c in named(f"{at}.resource.{name}", getattr(resource, name), path_segment)]
    if service is None:
        return [invalid(at, "", "resource or service backend is required")]
    causes = named(f"{at}.service.name", service.name, dns1123_label)
    port = service.port
    if port.name and port.number:
        return [*causes, invalid(at, "", "cannot set both port name & port number")]
    if port.name:
        return causes + each(f"{at}.service.port.name", port.name, port_name(port.name))
    if port.number:
        return causes + port_number(f"{at}.service.port.number", port.number)
    return [*causes, required(at, "port name or number is required")]


class IngressClassStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        parameters = obj.spec.parameters
        if parameters is not None and parameters.scope is None:
            parameters.scope = "Cluster"

    def validate_create(self, obj: Any) -> list[Cause]:
        controller, field = obj.spec.controller, "spec.controller"
        causes = domain_path(field, controller)
        if len(controller) > _LONGEST_CONTROLLER:
            causes.append(too_long(field, _LONGEST_CONTROLLER))
        return causes + (_parameters(obj.spec.parameters, "spec.parameters") if obj.spec.parameters is not None else [])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("spec.controller", new.spec.controller, old.spec.controller)


def _parameters(reference: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if reference.apiGroup is not None:
        causes += each(f"{at}.apiGroup", reference.apiGroup, dns1123_subdomain(reference.apiGroup))
    for name in ("kind", "name"):
        causes += named(f"{at}.{name}", getattr(reference, name), path_segment)
    scope, space = reference.scope, reference.namespace
    if scope is None:
        return [*causes, required(f"{at}.scope")]
    causes += one_of(f"{at}.scope", scope, ("Cluster", "Namespace"))
    if scope == "Namespace":
        if space is None:
            return [*causes, required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")]
        return causes + each(f"{at}.namespace", space, dns1123_label(space))
    if scope == "Cluster" and space is not None:
        causes.append(forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {
    "networking.k8s.io/ingresses": IngressStrategy,
    "networking.k8s.io/ingressclasses": IngressClassStrategy,
}
