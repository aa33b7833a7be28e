"""Environment variables of containers, and the fields of a pod or container that they and downward volumes may show."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import each, invalid, named, required, unsupported
from bareboat.api.kinds.core.paths import not_reserved
from bareboat.models.names import config_map_key, dns1123_label, dns1123_subdomain, qualified_name, relaxed_env_var_name
from bareboat.models.quantity import Quantity
from bareboat.models.status import Cause

ENV_FIELDS = frozenset(
    (
        *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
        *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
    )
)
VOLUME_FIELDS = frozenset(("metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"))
_KNOWN_FIELDS = (ENV_FIELDS | VOLUME_FIELDS | {"spec.host"}) | {"spec.restartPolicy", "spec.schedulerName", "status.phase"}
_SUBSCRIPTED = ("metadata.labels", "metadata.annotations")
RESOURCE_FIELDS = frozenset(f"{part}.{name}" for part in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage"))
_HUGE = ("requests.hugepages-", "limits.hugepages-")
_BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_env(variables: list[Any], at: str, volumes: Any) -> list[Cause]:
    causes: list[Cause] = []
    for i, variable in enumerate(variables):
        if not variable.name:
            causes.append(required(f"{at}[{i}].name"))
        else:
            causes += each(f"{at}[{i}].name", variable.name, relaxed_env_var_name(variable.name))
        if variable.valueFrom is not None:
            causes += _value_from(variable, f"{at}[{i}].valueFrom", volumes)
    return causes


def _value_from(variable: Any, at: str, volumes: Any) -> list[Cause]:
    source = variable.valueFrom
    causes: list[Cause] = []
    chosen = [name for name in _SOURCES if getattr(source, name) is not None]
    if source.fieldRef is not None:
        causes += field_reference(source.fieldRef, ENV_FIELDS, f"{at}.fieldRef")
    if source.resourceFieldRef is not None:
        causes += resource_reference(source.resourceFieldRef, f"{at}.resourceFieldRef", named_container=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        reference = getattr(source, name)
        if reference is not None:
            causes += _key_reference(reference, f"{at}.{name}")
    if source.fileKeyRef is not None:
        causes += _file_reference(source.fileKeyRef, f"{at}.fileKeyRef", volumes)
    if not chosen:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        causes.append(invalid(at, "", f"must specify one of: {listed}"))
    elif variable.value:
        causes.append(invalid(at, "", "may not be specified when `value` is not empty"))
    elif len(chosen) > 1:
        causes.append(invalid(at, "", "may not have more than one field specified at a time"))
    return causes


def _key_reference(reference: Any, at: str) -> list[Cause]:
    causes = each(f"{at}.name", reference.name, dns1123_subdomain(reference.name))
    return causes + named(f"{at}.key", reference.key, config_map_key)


def _file_reference(reference: Any, at: str, volumes: Any) -> list[Cause]:
    causes = named(f"{at}.key", reference.key, relaxed_env_var_name)
    causes += named(f"{at}.volumeName", reference.volumeName, dns1123_label)
    causes += not_reserved(f"{at}.path", reference.path) if reference.path else [required(f"{at}.path")]
    volume = volumes.get(reference.volumeName)
    if reference.volumeName and volume is None:
        causes.append(Cause("FieldValueNotFound", f'Not found: "{reference.volumeName}"', f"{at}.volumeName"))
    elif volume is not None and volume.emptyDir is None:
        causes.append(invalid(f"{at}.volumeName", reference.volumeName, "referenced volume must be of type emptyDir"))
    return causes


def validate_env_from(sources: list[Any], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for i, source in enumerate(sources):
        if source.prefix:
            causes += each(f"{at}[{i}].prefix", source.prefix, relaxed_env_var_name(source.prefix))
        chosen = [name for name in ("configMapRef", "secretRef") if getattr(source, name) is not None]
        for name in chosen:
            causes += named(f"{at}[{i}].{name}.name", getattr(source, name).name, dns1123_subdomain)
        if not chosen:
            causes.append(invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(chosen) > 1:
            causes.append(invalid(at, "", "may not have more than one field specified at a time"))
    return causes


def field_reference(reference: Any, allowed: frozenset[str], at: str) -> list[Cause]:
    """A field of the pod, maybe one label or annotation of it."""
    path = reference.fieldPath
    if not reference.apiVersion:
        return [required(f"{at}.apiVersion")]
    if not path:
        return [required(f"{at}.fieldPath")]
    base, bracket, rest = path.partition("['")
    subscripted = bool(bracket) and rest.endswith("']")
    if reference.apiVersion != "v1":
        fault = f"unsupported pod version: {reference.apiVersion}"
        return [invalid(f"{at}.fieldPath", path, f"error converting fieldPath: {fault}")]
    if subscripted and base not in _SUBSCRIPTED:
        return [invalid(f"{at}.fieldPath", path, f"error converting fieldPath: field label does not support subscript: {path}")]
    if subscripted:
        key = rest[:-2].lower() if base == "metadata.annotations" else rest[:-2]
        return each(at, key, qualified_name(key))
    if path not in _KNOWN_FIELDS:
        return [invalid(f"{at}.fieldPath", path, f"error converting fieldPath: field label not supported: {path}")]
    path = "spec.nodeName" if path == "spec.host" else path
    return [] if path in allowed else [unsupported(f"{at}.fieldPath", path, allowed)]


def resource_reference(reference: Any, at: str, *, named_container: bool) -> list[Cause]:
    """A request or limit of a container."""
    causes: list[Cause] = []
    if named_container and not reference.containerName:
        causes.append(required(f"{at}.containerName"))
    elif not reference.resource:
        causes.append(required(f"{at}.resource"))
    elif reference.resource not in RESOURCE_FIELDS and not reference.resource.startswith(_HUGE):
        causes.append(unsupported(f"{at}.resource", reference.resource, RESOURCE_FIELDS))
    return causes + _divisor(reference.resource, reference.divisor or "0", f"{at}.divisor")


def _divisor(resource: str, divisor: str, at: str) -> list[Cause]:
    if not Quantity.parse(divisor):
        return []
    if resource in ("limits.cpu", "requests.cpu") and divisor not in ("1m", "1"):
        return [invalid(at, resource, "only divisor's values 1m and 1 are supported with the cpu resource")]
    kinds = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}
    kind = kinds.get(resource.partition(".")[2], "hugepages" if resource.startswith(_HUGE) else "")
    if kind and divisor not in _BYTES:
        return [invalid(at, resource, f"only divisor's values {', '.join(_BYTES)} are supported with the {kind} resource")]
    return []
