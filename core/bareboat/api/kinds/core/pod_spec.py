"""Pod specs and pod templates, for pods and for every kind that makes pods."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import choice, duplicate, each, forbidden, invalid, one_of, required, unsupported
from bareboat.api.kinds.core.affinity import validate_affinity, validate_spreading
from bareboat.api.kinds.core.containers import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from bareboat.api.kinds.core.paths import ip_address
from bareboat.api.kinds.core.pod_platform import validate_platform
from bareboat.api.kinds.core.resources import resource_name, validate_pod_resources
from bareboat.api.kinds.core.security import validate_pod_security
from bareboat.api.kinds.core.volumes import validate_volumes
from bareboat.api.kinds.metadata import validate_annotations, validate_labels
from bareboat.models.names import dns1123_label, dns1123_subdomain, dns1123_subdomain_with_underscore, label_value, qualified_name
from bareboat.models.status import Cause

RESTART_POLICIES = ("Always", "OnFailure", "Never")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_MAX_INT32 = 2**31 - 1


def validate_pod_spec(spec: Any, at: str, *, pod: str = "", is_pod: bool = False) -> list[Cause]:
    """``pod`` is the name of a real pod; templates have none."""
    volumes, causes = validate_volumes(spec.volumes, f"{at}.volumes", pod)
    if spec.resourceClaims:
        causes += _claims(spec.resourceClaims, f"{at}.resourceClaims")
    around = Surroundings(spec, volumes)
    causes += validate_containers(around, at)
    if spec.initContainers:
        causes += validate_init_containers(around, at)
    if spec.ephemeralContainers:
        causes += validate_ephemeral_containers(around, at)
    if spec.resources is not None:
        causes += validate_pod_resources(spec, f"{at}.resources")
    if spec.hostNetwork:
        causes += _host_network(spec, at, is_pod=is_pod)
    if spec.restartPolicy not in RESTART_POLICIES:
        causes += choice(f"{at}.restartPolicy", spec.restartPolicy, RESTART_POLICIES)
    if spec.dnsPolicy not in _DNS_POLICIES:
        causes += choice(f"{at}.dnsPolicy", spec.dnsPolicy, _DNS_POLICIES)
    return causes + _placement(spec, at) + _names(spec, at) + _details(spec, at)


def _placement(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.nodeSelector:
        causes += validate_labels(spec.nodeSelector, f"{at}.nodeSelector")
    if spec.securityContext is not None:
        causes += validate_pod_security(spec.securityContext, spec, f"{at}.securityContext")
    if spec.affinity is not None:
        causes += validate_affinity(spec.affinity, f"{at}.affinity")
    if spec.tolerations:
        causes += validate_tolerations(spec.tolerations, f"{at}.tolerations")
    if spec.topologySpreadConstraints:
        causes += validate_spreading(spec.topologySpreadConstraints, f"{at}.topologySpreadConstraints")
    for i, gate in enumerate(spec.readinessGates):
        causes += each(f"{at}.readinessGates[{i}].conditionType", gate.conditionType, qualified_name(gate.conditionType))
    gates: set[str] = set()
    for i, gate in enumerate(spec.schedulingGates):
        where = f"{at}.schedulingGates[{i}]"
        causes += each(where, gate.name, qualified_name(gate.name))
        if gate.name in gates:
            causes.append(duplicate(where, gate.name))
        gates.add(gate.name)
    return causes


_SUBDOMAINS = ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName")


def _names(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for field in _SUBDOMAINS:
        value = getattr(spec, field)
        if value or (value is not None and field == "runtimeClassName"):
            causes += each(f"{at}.{field}", value, dns1123_subdomain(value))
    for field in ("hostname", "subdomain"):
        value = getattr(spec, field)
        if value:
            causes += each(f"{at}.{field}", value, dns1123_label(value))
    override = spec.hostnameOverride
    if override is not None:
        causes += _hostname_override(override, spec, at)
    return causes


def _hostname_override(override: str, spec: Any, at: str) -> list[Cause]:
    field = f"{at}.hostnameOverride"
    causes = each(field, override, dns1123_subdomain(override))
    if len(override) > 64:
        causes.append(invalid(field, override, "must be no more than 64 characters"))
    if spec.setHostnameAsFQDN:
        causes.append(forbidden(field, "may not be specified when setHostnameAsFQDN is true"))
    if spec.hostNetwork:
        causes.append(forbidden(field, "may not be specified when hostNetwork is true"))
    return causes


def _details(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    deadline = spec.activeDeadlineSeconds
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        causes.append(invalid(f"{at}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_INT32}, inclusive"))
    for i, alias in enumerate(spec.hostAliases):
        causes += ip_address(f"{at}.hostAliases[{i}].ip", alias.ip)
        for j, name in enumerate(alias.hostnames):
            causes += each(f"{at}.hostAliases[{i}].hostnames[{j}]", name, dns1123_subdomain(name))
    if spec.dnsConfig is not None or spec.dnsPolicy == "None":
        causes += _dns_config(spec.dnsConfig, spec.dnsPolicy, f"{at}.dnsConfig")
    if spec.preemptionPolicy is not None:
        causes += choice(f"{at}.preemptionPolicy", spec.preemptionPolicy, ("Never", "PreemptLowerPriority"))
    for name in spec.overhead:
        causes += resource_name(f"{at}.overhead[{name}]", name)
    return causes + validate_platform(spec, at)


def _dns_config(config: Any, policy: str, at: str) -> list[Cause]:
    if policy == "None" and config is None:
        return [required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
    if policy == "None" and not config.nameservers:
        return [required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    causes: list[Cause] = []
    if len(config.nameservers) > 3:
        causes.append(invalid(f"{at}.nameservers", config.nameservers, "must not have more than 3 nameservers"))
    for i, server in enumerate(config.nameservers):
        causes += ip_address(f"{at}.nameservers[{i}]", server)
    if len(config.searches) > 32:
        causes.append(invalid(f"{at}.searches", config.searches, "must not have more than 32 search paths"))
    if len(" ".join(config.searches)) > 2048:
        message = "must not have more than 2048 characters (including spaces) in the search list"
        causes.append(invalid(f"{at}.searches", config.searches, message))
    for i, search in enumerate(config.searches):
        name = search.removesuffix(".")
        causes += [] if search == "." else each(f"{at}.searches[{i}]", name, dns1123_subdomain_with_underscore(name))
    return causes + [required(f"{at}.options[{i}]", "must not be empty") for i, o in enumerate(config.options) if not o.name]


def _host_network(spec: Any, at: str, *, is_pod: bool) -> list[Cause]:
    causes: list[Cause] = []
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if (is_pod or port.hostPort) and port.hostPort != port.containerPort:
                message = "must match `containerPort` when `hostNetwork` is true"
                causes.append(invalid(f"{at}.containers[{i}].ports[{j}].hostPort", port.hostPort, message))
    return causes


def _claims(claims: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for i, claim in enumerate(claims):
        where = f"{at}[{i}]"
        if not claim.name:
            causes.append(required(f"{where}.name"))
        elif claim.name in names:
            causes.append(duplicate(f"{where}.name", claim.name))
        else:
            causes += each(f"{where}.name", claim.name, dns1123_label(claim.name))
            names.add(claim.name)
        sources = [name for name in ("resourceClaimName", "resourceClaimTemplateName") if getattr(claim, name) is not None]
        if len(sources) > 1:
            message = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            causes.append(invalid(where, claim, message))
        elif not sources:
            causes.append(invalid(where, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
        for name in sources:
            causes += each(f"{where}.{name}", getattr(claim, name), dns1123_subdomain(getattr(claim, name)))
    return causes


def validate_tolerations(tolerations: list[Any], at: str) -> list[Cause]:
    return [cause for i, toleration in enumerate(tolerations) for cause in _toleration(toleration, f"{at}[{i}]")]


def _toleration(toleration: Any, at: str) -> list[Cause]:
    operator, effect = toleration.operator, toleration.effect
    causes = each(f"{at}.key", toleration.key, qualified_name(toleration.key)) if toleration.key else []
    if not toleration.key and operator != "Exists":
        message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        causes.append(invalid(f"{at}.operator", operator, message))
    if toleration.tolerationSeconds is not None and effect != "NoExecute":
        causes.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("", "Equal"):
        faults = label_value(toleration.value)
        causes += [invalid(f"{at}.operator", toleration.value, ";".join(faults))] if faults else []
    elif operator == "Exists":
        if toleration.value:
            causes.append(invalid(f"{at}.operator", toleration.value, "value must be empty when `operator` is 'Exists'"))
    else:
        causes.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists")))
    return causes + (one_of(f"{at}.effect", effect, EFFECTS) if effect else [])


def validate_template(template: Any, at: str) -> list[Cause]:
    """A pod template of any kind; faults of its labels have upstream's short path."""
    meta = template.metadata
    causes: list[Cause] = []
    if meta.labels:
        causes += validate_labels(meta.labels, f"{at}.labels")
    if meta.annotations:
        causes += validate_annotations(meta.annotations, f"{at}.annotations")
    causes += validate_pod_spec(template.spec, f"{at}.spec")
    if template.spec.ephemeralContainers:
        causes.append(forbidden(f"{at}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return causes
