"""Environment variables and commands of a container: literals, references, expansion of $(NAME). Pure."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from bareboat.models import core_v1
from bareboat.models.quantity import Quantity

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


class ConfigError(Exception):
    """The container cannot be made as it stands: reason CreateContainerConfigError."""


Lookup = Callable[[str, str], Mapping[str, str] | None]


def expand(text: str, known: Mapping[str, str]) -> str:
    """$(NAME) → its value; unknown names stay; $$ is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def field(pod: core_v1.Pod, path: str) -> str:
    """The downward API's fields."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match:
        return str(getattr(meta, match[1]).get(match[2], ""))
    simple: dict[str, str] = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "metadata.labels": lines(meta.labels),
        "metadata.annotations": lines(meta.annotations),
        "spec.nodeName": spec.nodeName,
        "spec.serviceAccountName": spec.serviceAccountName,
        "status.hostIP": status.hostIP,
        "status.hostIPs": ",".join(i.ip for i in status.hostIPs),
        "status.podIP": status.podIP,
        "status.podIPs": ",".join(i.ip for i in status.podIPs),
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return simple[path]


def lines(values: Mapping[str, str]) -> str:
    """As Go quotes them."""
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))


def resource(container: core_v1.Container, name: str, divisor: str, allocatable: Mapping[str, str]) -> str:
    """A request or limit in units of the divisor, rounded up; the node's allocatable where there is no limit."""
    part, _, kind = name.partition(".")
    values = container.resources.limits if part == "limits" else container.resources.requests
    text = values.get(kind) or (allocatable.get(kind, "0") if part == "limits" else "0")
    unit = Quantity.parse(divisor if divisor not in ("", "0") else "1").nanos
    return str(math.ceil(Quantity.parse(text).nanos / unit))


def build(
    pod: core_v1.Pod,
    container: core_v1.Container,
    config_map: Lookup,
    secret: Lookup,
    services: Mapping[str, str],
    allocatable: Mapping[str, str],
) -> dict[str, str]:
    """All variables. ``config_map`` and ``secret`` give decoded values by (namespace, name). Raises ConfigError."""
    found: dict[str, str] = dict(services)
    for source in container.envFrom:
        for lookup, reference, kind in ((config_map, source.configMapRef, "configmap"), (secret, source.secretRef, "secret")):
            if reference is None:
                continue
            values = lookup(pod.metadata.namespace, reference.name)
            if values is None and not reference.optional:
                raise ConfigError(f'{kind} "{reference.name}" not found')
            found |= {source.prefix + k: v for k, v in (values or {}).items()}
    for variable in container.env:
        value = _value(pod, container, variable, config_map, secret, allocatable)
        if value is not None:
            found[variable.name] = expand(value, found) if variable.valueFrom is None else value
    return found


def _value(pod: Any, container: Any, variable: Any, config_map: Lookup, secret: Lookup, allocatable: Mapping[str, str]) -> str | None:
    source = variable.valueFrom
    if source is None:
        return str(variable.value)
    if source.fieldRef is not None:
        return field(pod, source.fieldRef.fieldPath)
    if source.resourceFieldRef is not None:
        reference = source.resourceFieldRef
        named = [c for c in pod.spec.containers if c.name == reference.containerName]
        return resource(named[0] if named else container, reference.resource, reference.divisor, allocatable)
    for lookup, key, kind in ((config_map, source.configMapKeyRef, "configmap"), (secret, source.secretKeyRef, "secret")):
        if key is None:
            continue
        values = lookup(pod.metadata.namespace, key.name)
        if values is not None and key.key in values:
            return values[key.key]
        if key.optional:
            return None
        what = f"couldn't find key {key.key} in {kind} {pod.metadata.namespace}/{key.name}"
        raise ConfigError(f'{kind} "{key.name}" not found' if values is None else what)
    return ""


def service_variables(services: list[core_v1.Service], namespace: str, *, links: bool) -> dict[str, str]:
    """KUBERNETES_SERVICE_HOST and the like: of the namespace's Services, and of default/kubernetes always."""
    found: dict[str, str] = {}
    for service in services:
        own = service.metadata.namespace == namespace and links
        master = service.metadata.namespace == "default" and service.metadata.name == "kubernetes"
        if (own or master) and service.spec.clusterIP not in ("", "None") and service.spec.ports:
            found |= _of_service(service)
    return found


def _of_service(service: core_v1.Service) -> dict[str, str]:
    prefix = service.metadata.name.upper().replace("-", "_")
    host, first = service.spec.clusterIP, service.spec.ports[0]
    found = {f"{prefix}_SERVICE_HOST": host, f"{prefix}_SERVICE_PORT": str(first.port)}
    for port in service.spec.ports:
        if port.name:
            found[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    found[f"{prefix}_PORT"] = f"{first.protocol.lower()}://{host}:{first.port}"
    for port in service.spec.ports:
        protocol = port.protocol.lower()
        key = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
        found |= {key: f"{protocol}://{host}:{port.port}", f"{key}_PROTO": protocol, f"{key}_PORT": str(port.port), f"{key}_ADDR": host}
    return found


def decoded(secret: core_v1.Secret) -> dict[str, str]:
    return {k: base64.b64decode(v).decode("utf-8", "surrogateescape") for k, v in secret.data.items()}
