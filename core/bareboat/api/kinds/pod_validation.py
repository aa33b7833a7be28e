"""Validation of a pod spec: containers, ports, probes, volumes and what refers to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.api.kinds.causes import (
    duplicate,
    each,
    forbidden,
    in_range,
    invalid,
    non_negative,
    one_of,
    required,
    unknown,
    unsupported,
)
from bareboat.api.kinds.metadata import validate_labels
from bareboat.models import core_v1
from bareboat.models.names import config_map_key, dns1123_label, dns1123_subdomain, port_name, relaxed_env_var_name
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SOURCES = tuple(f for f in core_v1.Volume.__struct_fields__ if f != "name")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def validate_pod_spec(spec: Any, at: str) -> list[Cause]:
    causes = _volumes(spec.volumes, f"{at}.volumes")
    volumes = {v.name for v in spec.volumes}
    claims = {c.name for c in spec.resourceClaims}
    if not spec.containers:
        causes.append(required(f"{at}.containers"))
    seen: set[str] = set()
    for kind, containers in (("containers", spec.containers), ("initContainers", spec.initContainers)):
        for i, container in enumerate(containers):
            where = f"{at}.{kind}[{i}]"
            causes += _container(container, where, volumes, claims, init=kind == "initContainers")
            causes += _unique(container.name, f"{where}.name", seen)
    causes += _ephemeral(spec, at, volumes, seen)
    causes += _host_port_clashes(spec, at)
    causes += one_of(f"{at}.restartPolicy", spec.restartPolicy, ("Always", "Never", "OnFailure"))
    causes += one_of(f"{at}.dnsPolicy", spec.dnsPolicy, ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"))
    causes += _spec_fields(spec, at)
    return causes


def _spec_fields(spec: Any, at: str) -> list[Cause]:
    causes = validate_labels(spec.nodeSelector, f"{at}.nodeSelector")
    for field in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        value = getattr(spec, field)
        if value:
            causes += each(f"{at}.{field}", value, dns1123_subdomain(value))
    for field in ("hostname", "subdomain"):
        value = getattr(spec, field)
        if value:
            causes += each(f"{at}.{field}", value, dns1123_label(value))
    if spec.activeDeadlineSeconds is not None:
        causes += in_range(f"{at}.activeDeadlineSeconds", spec.activeDeadlineSeconds, 1, 2**31 - 1)
    causes += non_negative(f"{at}.terminationGracePeriodSeconds", spec.terminationGracePeriodSeconds)
    for i, toleration in enumerate(spec.tolerations):
        causes += _toleration(toleration, f"{at}.tolerations[{i}]")
    return causes


def _toleration(toleration: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not toleration.key and toleration.operator != "Exists":
        message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        causes.append(invalid(f"{at}.operator", toleration.operator, message))
    if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
        causes.append(invalid(f"{at}.effect", toleration.effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if toleration.operator == "Exists" and toleration.value:
        causes.append(invalid(f"{at}.operator", plain_toleration(toleration), "value must be empty when `operator` is 'Exists'"))
    if toleration.operator not in ("", "Equal", "Exists"):
        causes.append(unsupported(f"{at}.operator", toleration.operator, ("Equal", "Exists")))
    if toleration.effect not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
        causes.append(unsupported(f"{at}.effect", toleration.effect, ("NoSchedule", "PreferNoSchedule", "NoExecute")))
    return causes


def plain_toleration(toleration: Any) -> Any:
    from bareboat.api.kinds.causes import plain

    return plain(toleration)


def _unique(name: str, field: str, seen: set[str]) -> list[Cause]:
    if not name:
        return []
    if name in seen:
        return [duplicate(field, name)]
    seen.add(name)
    return []


def _ephemeral(spec: Any, at: str, volumes: set[str], seen: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    for i, container in enumerate(spec.ephemeralContainers):
        where = f"{at}.ephemeralContainers[{i}]"
        causes += _container(container, where, volumes, set(), ephemeral=True)
        causes += _unique(container.name, f"{where}.name", seen)
    return causes


def _container(container: Any, at: str, volumes: set[str], claims: set[str], *, init: bool = False, ephemeral: bool = False) -> list[Cause]:
    causes: list[Cause] = []
    if not container.name:
        causes.append(required(f"{at}.name"))
    else:
        causes += each(f"{at}.name", container.name, dns1123_label(container.name))
    if not container.image:
        causes.append(required(f"{at}.image"))
    elif container.image != container.image.strip():
        causes.append(invalid(f"{at}.image", container.image, "must not have leading or trailing whitespace"))
    causes += one_of(f"{at}.imagePullPolicy", container.imagePullPolicy, ("Always", "IfNotPresent", "Never"))
    causes += one_of(f"{at}.terminationMessagePolicy", container.terminationMessagePolicy, ("FallbackToLogsOnError", "File"))
    causes += _ports(container.ports, f"{at}.ports")
    causes += _env(container, at)
    causes += _mounts(container, at, volumes)
    causes += validate_resources(container.resources, f"{at}.resources", claims)
    causes += _lifecycle(container, at, init=init, ephemeral=ephemeral)
    return causes


def _ports(ports: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for i, port in enumerate(ports):
        where = f"{at}[{i}]"
        if port.name:
            faults = port_name(port.name)
            causes += each(f"{where}.name", port.name, faults)
            if not faults:
                causes += _unique(port.name, f"{where}.name", names)
        if not port.containerPort:
            causes.append(required(f"{where}.containerPort"))
        else:
            causes += _port_number(port.containerPort, f"{where}.containerPort")
        if port.hostPort:
            causes += _port_number(port.hostPort, f"{where}.hostPort")
        causes += one_of(f"{where}.protocol", port.protocol, _PROTOCOLS)
    return causes


def _port_number(number: int, field: str) -> list[Cause]:
    return in_range(field, number, 1, 65535)


def _host_port_clashes(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    taken: set[tuple[str, str, int]] = set()
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if not port.hostPort:
                continue
            if spec.hostNetwork and port.hostPort != port.containerPort:
                message = "must match `containerPort` when `hostNetwork` is true"
                causes.append(invalid(f"{at}.containers[{i}].ports[{j}].hostPort", port.hostPort, message))
            key = (port.protocol, port.hostIP, port.hostPort)
            if key in taken:
                causes.append(duplicate(f"{at}.containers[{i}].ports[{j}].hostPort", f"{port.protocol}/{port.hostIP}/{port.hostPort}"))
            taken.add(key)
    return causes


def _env(container: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, env in enumerate(container.env):
        where = f"{at}.env[{i}]"
        if not env.name:
            causes.append(required(f"{where}.name"))
        else:
            causes += each(f"{where}.name", env.name, relaxed_env_var_name(env.name))
        source = env.valueFrom
        if source is None:
            continue
        chosen = [f for f in source.__struct_fields__ if getattr(source, f) is not None]
        if not chosen:
            causes.append(
                invalid(
                    f"{where}.valueFrom",
                    "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
                )
            )
        if env.value and chosen:
            causes.append(invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty"))
        if len(chosen) > 1:
            causes.append(invalid(f"{where}.valueFrom", "", "may not have more than one field specified at a time"))
        for kind in ("configMapKeyRef", "secretKeyRef"):
            causes += _key_reference(getattr(source, kind), f"{where}.valueFrom.{kind}")
    for i, source in enumerate(container.envFrom):
        where = f"{at}.envFrom[{i}]"
        if source.configMapRef is None and source.secretRef is None:
            causes.append(invalid(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        if source.configMapRef is not None and source.secretRef is not None:
            causes.append(invalid(where, "", "may not have more than one field specified at a time"))
        for kind in ("configMapRef", "secretRef"):
            reference = getattr(source, kind)
            if reference is not None and not reference.name:
                causes.append(required(f"{where}.{kind}.name"))
    return causes


def _key_reference(reference: Any, at: str) -> list[Cause]:
    if reference is None:
        return []
    causes = [] if reference.name else [required(f"{at}.name")]
    if not reference.key:
        return [*causes, required(f"{at}.key")]
    return causes + each(f"{at}.key", reference.key, config_map_key(reference.key))


def _mounts(container: Any, at: str, volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    paths: set[str] = set()
    for i, mount in enumerate(container.volumeMounts):
        where = f"{at}.volumeMounts[{i}]"
        if not mount.name:
            causes.append(required(f"{where}.name"))
        if mount.name not in volumes:
            causes.append(unknown(f"{where}.name", mount.name))
        if not mount.mountPath:
            causes.append(required(f"{where}.mountPath"))
        elif mount.mountPath in paths:
            causes.append(invalid(f"{where}.mountPath", mount.mountPath, "must be unique"))
        paths.add(mount.mountPath)
        for field in ("subPath", "subPathExpr"):
            value = getattr(mount, field)
            if value:
                causes += relative_path(value, f"{where}.{field}")
        if mount.subPath and mount.subPathExpr:
            causes.append(invalid(f"{where}.subPathExpr", mount.subPathExpr, "subPathExpr and subPath are mutually exclusive"))
    return causes


def relative_path(value: str, field: str) -> list[Cause]:
    causes = [invalid(field, value, "must be a relative path")] if value.startswith("/") else []
    return causes + ([invalid(field, value, "must not contain '..'")] if ".." in value.split("/") else [])


def validate_resources(resources: Any, at: str, claims: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    if resources is None:
        return causes
    for part in ("limits", "requests"):
        for name, value in getattr(resources, part).items():
            if Quantity.parse(value).nanos < 0:
                causes.append(invalid(f"{at}.{part}[{name}]", value, "must be greater than or equal to 0"))
    for name, value in resources.requests.items():
        limit = resources.limits.get(name)
        if limit is not None and Quantity.parse(value) > Quantity.parse(limit):
            causes.append(invalid(f"{at}.requests", value, f"must be less than or equal to {name} limit of {limit}"))
    for i, claim in enumerate(resources.claims):
        if claim.name not in claims:
            causes.append(unknown(f"{at}.claims[{i}]", {"name": claim.name}))
    return causes


def _lifecycle(container: Any, at: str, *, init: bool, ephemeral: bool) -> list[Cause]:
    causes: list[Cause] = []
    sidecar = init and container.restartPolicy == "Always"
    if container.restartPolicy is not None and not init and container.restartPolicy not in ("Always", "Never", "OnFailure"):
        causes.append(unsupported(f"{at}.restartPolicy", container.restartPolicy, ("Always", "Never", "OnFailure")))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = getattr(container, name)
        if probe is None:
            continue
        if ephemeral or (init and not sidecar):
            message = (
                "cannot be set for an Ephemeral Container"
                if ephemeral
                else "may not be set for init containers without restartPolicy=Always"
            )
            causes.append(forbidden(f"{at}.{name}", message))
            continue
        causes += _probe(probe, f"{at}.{name}", only_once=name != "readinessProbe")
    if container.lifecycle is not None and (ephemeral or (init and not sidecar)):
        message = (
            "cannot be set for an Ephemeral Container" if ephemeral else "may not be set for init containers without restartPolicy=Always"
        )
        causes.append(forbidden(f"{at}.lifecycle", message))
    elif container.lifecycle is not None:
        for hook in ("postStart", "preStop"):
            handler = getattr(container.lifecycle, hook)
            if handler is not None:
                causes += _handler(handler, f"{at}.lifecycle.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"))
    return causes


def _probe(probe: Any, at: str, *, only_once: bool) -> list[Cause]:
    causes = _handler(probe, at, _HANDLERS)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        causes += non_negative(f"{at}.{field}", getattr(probe, field))
    if only_once and probe.successThreshold != 1:
        causes.append(invalid(f"{at}.successThreshold", probe.successThreshold, "must be 1"))
    if probe.terminationGracePeriodSeconds is not None and probe.terminationGracePeriodSeconds <= 0:
        causes.append(invalid(f"{at}.terminationGracePeriodSeconds", probe.terminationGracePeriodSeconds, "must be greater than 0"))
    return causes


def _handler(handler: Any, at: str, kinds: Iterable[str]) -> list[Cause]:
    chosen = [k for k in kinds if getattr(handler, k, getattr(handler, k + "_", None)) is not None]
    if not chosen:
        return [required(at, "must specify a handler type")]
    causes: list[Cause] = [forbidden(f"{at}.{k}", "may not specify more than 1 handler type") for k in chosen[1:]]
    action: Any = getattr(handler, chosen[0], None)
    if chosen[0] == "exec" and not action.command:
        causes.append(required(f"{at}.exec.command"))
    if chosen[0] in ("httpGet", "tcpSocket"):
        causes += _target_port(action.port, f"{at}.{chosen[0]}.port")
    if chosen[0] == "httpGet":
        causes += one_of(f"{at}.httpGet.scheme", action.scheme, ("HTTP", "HTTPS"))
    return causes


def _target_port(port: int | str, field: str) -> list[Cause]:
    if isinstance(port, int):
        return in_range(field, port, 1, 65535)
    return each(field, port, port_name(port))


def _volumes(volumes: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for i, volume in enumerate(volumes):
        where = f"{at}[{i}]"
        if not volume.name:
            causes.append(required(f"{where}.name"))
        else:
            faults = dns1123_label(volume.name)
            causes += each(f"{where}.name", volume.name, faults)
            if not faults:
                causes += _unique(volume.name, f"{where}.name", names)
        chosen = [s for s in _SOURCES if getattr(volume, s) is not None]
        causes += [forbidden(f"{where}.{s}", "may not specify more than 1 volume type") for s in chosen[1:]]
        causes += _volume_source(volume, where)
    return causes


def _volume_source(volume: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if volume.hostPath is not None and not volume.hostPath.path:
        causes.append(required(f"{at}.hostPath.path"))
    if volume.configMap is not None and not volume.configMap.name:
        causes.append(required(f"{at}.configMap.name"))
    if volume.secret is not None and not volume.secret.secretName:
        causes.append(required(f"{at}.secret.secretName"))
    if volume.persistentVolumeClaim is not None and not volume.persistentVolumeClaim.claimName:
        causes.append(required(f"{at}.persistentVolumeClaim.claimName"))
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        source = getattr(volume, name)
        if source is not None and source.defaultMode is not None and not 0 <= source.defaultMode <= 0o777:
            message = "must be a number between 0 and 0777 (octal), both inclusive"
            causes.append(invalid(f"{at}.{name}.defaultMode", source.defaultMode, message))
        for i, item in enumerate(getattr(source, "items", ()) or ()):
            if not item.path:
                causes.append(required(f"{at}.{name}.items[{i}].path"))
            else:
                causes += relative_path(item.path, f"{at}.{name}.items[{i}].path")
            if hasattr(item, "key") and not item.key:
                causes.append(required(f"{at}.{name}.items[{i}].key"))
    return causes
