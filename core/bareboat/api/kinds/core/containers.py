"""Containers of a pod spec: regular, init and ephemeral ones."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import (
    choice,
    duplicate,
    each,
    forbidden,
    invalid,
    port_number,
    required,
    too_many,
    unique,
    unknown,
    unsupported,
)
from bareboat.api.kinds.core.environment import validate_env, validate_env_from
from bareboat.api.kinds.core.mounts import validate_devices, validate_mounts
from bareboat.api.kinds.core.probes import PROBES, validate_lifecycle, validate_probes
from bareboat.api.kinds.core.resources import validate_resources
from bareboat.api.kinds.core.security import validate_container_security
from bareboat.models import core_v1
from bareboat.models.names import dns1123_label, port_name
from bareboat.models.status import Cause

PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_RESTARTS = ("Always", "Never", "OnFailure")
_ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
_EPHEMERAL_MAY_NOT = ("ports", "lifecycle", "resources", "resizePolicy", *PROBES)


class Surroundings:
    """What the containers of one pod spec share."""

    __slots__ = ("claims", "grace", "spec", "volumes")

    def __init__(self, spec: Any, volumes: dict[str, Any]) -> None:
        self.spec = spec
        self.volumes = volumes
        self.claims = {claim.name for claim in spec.resourceClaims if claim.name}
        self.grace = spec.terminationGracePeriodSeconds


def validate_containers(around: Surroundings, at: str) -> list[Cause]:
    containers = around.spec.containers
    if not containers:
        return [required(f"{at}.containers")]
    causes: list[Cause] = []
    names: set[str] = set()
    ports: set[str] = set()
    for i, container in enumerate(containers):
        where = f"{at}.containers[{i}]"
        causes += _common(container, around, where) + unique(f"{where}.name", container.name, names)
        if container.lifecycle is not None:
            causes += validate_lifecycle(container.lifecycle, f"{where}.lifecycle", around.grace, around.spec)
        causes += validate_probes(container, where, around.grace)
        causes += _restarts(container, where)
    for i, container in enumerate(containers):
        causes += _host_ports(container.ports, f"{at}.containers[{i}].ports", ports)
    return causes


def validate_init_containers(around: Surroundings, at: str) -> list[Cause]:
    causes: list[Cause] = []
    names = {container.name for container in around.spec.containers}
    for i, container in enumerate(around.spec.initContainers):
        where = f"{at}.initContainers[{i}]"
        causes += _common(container, around, where)
        if container.name in names:
            causes.append(duplicate(f"{where}.name", container.name))
        elif container.name:
            names.add(container.name)
        causes += _restarts(container, where)
        # each runs alone; upstream counts from zero for each
        causes += _host_ports(container.ports, f"{at}.initContainers[0].ports", set())
        if container.restartPolicy == "Always":
            causes += _sidecar(container, where, around)
        else:
            held = [name for name in ("lifecycle", *PROBES) if getattr(container, name) is not None]
            causes += [forbidden(f"{where}.{name}", _ONLY_SIDECARS) for name in held]
    return causes


def _sidecar(container: Any, where: str, around: Surroundings) -> list[Cause]:
    causes = validate_probes(container, where, around.grace)
    if container.lifecycle is not None:
        causes += validate_lifecycle(container.lifecycle, f"{where}.lifecycle", around.grace, around.spec)
    return causes


def validate_ephemeral_containers(around: Surroundings, at: str) -> list[Cause]:
    causes: list[Cause] = []
    others = {container.name for container in [*around.spec.containers, *around.spec.initContainers]}
    names = set(others)
    empty = core_v1.EphemeralContainer()
    for i, container in enumerate(around.spec.ephemeralContainers):
        where = f"{at}.ephemeralContainers[{i}]"
        causes += _common(container, around, where) + trimmed_image(container, where)
        causes += unique(f"{where}.name", container.name, names)
        target = container.targetContainerName
        if target and target not in others:
            causes.append(unknown(f"{where}.targetContainerName", target))
        set_fields = [name for name in _EPHEMERAL_MAY_NOT if getattr(container, name) != getattr(empty, name)]
        causes += [forbidden(f"{where}.{name}", _NOT_EPHEMERAL) for name in set_fields]
        for j, mount in enumerate(container.volumeMounts):
            held = [name for name in ("subPath", "subPathExpr") if getattr(mount, name)]
            causes += [forbidden(f"{where}.volumeMounts[{j}].{name}", _NOT_EPHEMERAL) for name in held]
    return causes


def _common(container: Any, around: Surroundings, at: str) -> list[Cause]:
    """What holds for every container."""
    name = container.name
    causes = each(f"{at}.name", name, dns1123_label(name)) if name else [required(f"{at}.name")]
    if not container.image:
        causes.append(required(f"{at}.image"))
    if container.terminationMessagePolicy not in _MESSAGE_POLICIES:
        causes += choice(f"{at}.terminationMessagePolicy", container.terminationMessagePolicy, _MESSAGE_POLICIES)
    if container.ports:
        causes += _ports(container.ports, f"{at}.ports")
    if container.env:
        causes += validate_env(container.env, f"{at}.env", around.volumes)
    if container.envFrom:
        causes += validate_env_from(container.envFrom, f"{at}.envFrom")
    if container.volumeMounts:
        causes += validate_mounts(container, f"{at}.volumeMounts", around.volumes)
    if container.volumeDevices:
        causes += validate_devices(container, f"{at}.volumeDevices", around.volumes)
    if container.imagePullPolicy not in _PULL_POLICIES:
        causes += choice(f"{at}.imagePullPolicy", container.imagePullPolicy, _PULL_POLICIES)
    causes += validate_resources(container.resources, f"{at}.resources", around.claims)
    if container.resizePolicy:
        causes += _resize(container.resizePolicy, f"{at}.resizePolicy", around.spec.restartPolicy)
    if container.securityContext is not None:
        causes += validate_container_security(container.securityContext, around.spec, f"{at}.securityContext")
    return causes


def trimmed_image(container: Any, at: str) -> list[Cause]:
    """A rule of pods, not of templates."""
    if container.image == container.image.strip():
        return []
    return [invalid(f"{at}.image", container.image, "must not have leading or trailing whitespace")]


def _ports(ports: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for i, port in enumerate(ports):
        where = f"{at}[{i}]"
        if port.name:
            faults = port_name(port.name)
            causes += each(f"{where}.name", port.name, faults) if faults else unique(f"{where}.name", port.name, names)
        if not port.containerPort:
            causes.append(required(f"{where}.containerPort"))
        else:
            causes += port_number(f"{where}.containerPort", port.containerPort)
        if port.hostPort:
            causes += port_number(f"{where}.hostPort", port.hostPort)
        if port.protocol not in PROTOCOLS:
            causes += choice(f"{where}.protocol", port.protocol, PROTOCOLS)
    return causes


def _host_ports(ports: list[Any], at: str, taken: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    for i, port in enumerate(ports):
        if port.hostPort:
            causes += unique(f"{at}[{i}].hostPort", f"{port.protocol}/{port.hostIP}/{port.hostPort}", taken)
    return causes


def _resize(policies: list[Any], at: str, restart_policy: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        causes += unique(f"{at}[{i}]", policy.resourceName, seen)
        causes += choice(at, policy.resourceName, ("cpu", "memory"))
        causes += choice(at, policy.restartPolicy, ("NotRequired", "RestartContainer"))
        if restart_policy == "Never" and policy.restartPolicy != "NotRequired":
            causes.append(invalid(at, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return causes


def _restarts(container: Any, at: str) -> list[Cause]:
    """A restart policy of the container's own, and the rules that refine it."""
    policy, rules = container.restartPolicy, container.restartPolicyRules
    causes: list[Cause] = []
    if policy is not None and policy not in _RESTARTS:
        causes.append(unsupported(f"{at}.restartPolicy", policy, _RESTARTS))
    if not rules:
        return causes
    if policy is None:
        causes.append(required(f"{at}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > 20:
        causes.append(too_many(f"{at}.restartPolicyRules", len(rules), 20))
    for i, rule in enumerate(rules):
        causes += _restart_rule(rule, f"{at}.restartPolicyRules[{i}]")
    return causes


def _restart_rule(rule: Any, at: str) -> list[Cause]:
    causes = choice(f"{at}.action", rule.action, ("Restart", "RestartAllContainers"))
    if rule.exitCodes is None:
        return [*causes, required(f"{at}.exitCodes", "must be specified")]
    causes += choice(f"{at}.exitCodes.operator", rule.exitCodes.operator, ("In", "NotIn"))
    if len(rule.exitCodes.values) > 255:
        causes.append(too_many(f"{at}.exitCodes.values", len(rule.exitCodes.values), 255))
    return causes
