"""Where containers mount volumes and see block devices."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import invalid, required, unknown, unsupported
from bareboat.api.kinds.core.paths import descending
from bareboat.models.status import Cause

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def validate_mounts(container: Any, at: str, volumes: dict[str, Any]) -> list[Cause]:
    """``volumes`` are the valid ones of the pod, by name."""
    causes: list[Cause] = []
    paths: set[str] = set()
    devices = {device.name: device.devicePath for device in container.volumeDevices}
    for i, mount in enumerate(container.volumeMounts):
        where = f"{at}[{i}]"
        if not mount.name:
            causes.append(required(f"{where}.name"))
        if mount.name not in volumes:
            causes.append(unknown(f"{where}.name", mount.name))
        if not mount.mountPath:
            causes.append(required(f"{where}.mountPath"))
        if mount.mountPath in paths:
            causes.append(invalid(f"{where}.mountPath", mount.mountPath, "must be unique"))
        paths.add(mount.mountPath)
        if devices:
            causes += _device_clashes(mount, where, devices)
        causes += _sub_paths(mount, at, where, volumes.get(mount.name))
        causes += _modes(mount, container, at)
    return causes


def _device_clashes(mount: Any, where: str, devices: dict[str, str]) -> list[Cause]:
    causes = [invalid(f"{where}.name", mount.name, "must not already exist in volumeDevices")] if mount.name in devices else []
    if mount.mountPath in devices.values():
        causes.append(invalid(f"{where}.mountPath", mount.mountPath, "must not already exist as a path in volumeDevices"))
    return causes


def _sub_paths(mount: Any, at: str, where: str, volume: Any) -> list[Cause]:
    """The path of a fault in a sub path has no index, as upstream has it."""
    causes: list[Cause] = []
    for name in ("subPath", "subPathExpr"):
        value = getattr(mount, name)
        if value:
            causes += descending(f"{at}.{name}", value)
    if mount.subPath and mount.subPathExpr:
        causes.append(invalid(f"{where}.subPathExpr", mount.subPathExpr, "subPathExpr and subPath are mutually exclusive"))
    return causes


def _modes(mount: Any, container: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    propagation, recursive = mount.mountPropagation, mount.recursiveReadOnly
    if propagation is not None and propagation not in _PROPAGATIONS:
        causes.append(unsupported(f"{at}.mountPropagation", propagation, _PROPAGATIONS))
    context = container.securityContext
    if propagation == "Bidirectional" and (context is None or not context.privileged):
        message = "Bidirectional mount propagation is available only to privileged containers"
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {message}", f"{at}.mountPropagation"))
    if recursive is None:
        return causes
    field = f"{at}.recursiveReadOnly"
    if recursive not in _RECURSIVE:
        causes.append(unsupported(field, recursive, _RECURSIVE))
    elif recursive != "Disabled" and not mount.readOnly:
        causes.append(Cause("FieldValueForbidden", "Forbidden: may only be specified when readOnly is true", field))
    elif recursive != "Disabled" and propagation not in (None, "None"):
        message = "may only be specified when mountPropagation is None or not specified"
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {message}", field))
    return causes


def validate_devices(container: Any, at: str, volumes: dict[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    paths: set[str] = set()
    mounts = {mount.name: mount.mountPath for mount in container.volumeMounts}
    for i, device in enumerate(container.volumeDevices):
        where = f"{at}[{i}]"
        causes += _device_name(device.name, f"{where}.name", volumes, names)
        causes += _device_path(device.devicePath, f"{where}.devicePath", paths)
        if device.name in mounts:
            causes.append(invalid(f"{where}.name", device.name, "must not already exist in volumeMounts"))
        if device.devicePath in mounts.values():
            causes.append(invalid(f"{where}.devicePath", device.devicePath, "must not already exist as a path in volumeMounts"))
    return causes


def _device_name(name: str, field: str, volumes: dict[str, Any], seen: set[str]) -> list[Cause]:
    causes = [] if name else [required(field)]
    if name in seen:
        causes.append(invalid(field, name, "must be unique"))
    seen.add(name)
    volume = volumes.get(name)
    if volume is None:
        causes.append(unknown(field, name))
    elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
        message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        causes.append(invalid(field, name, message))
    return causes


def _device_path(path: str, field: str, seen: set[str]) -> list[Cause]:
    causes = [] if path else [required(field)]
    if path in seen:
        causes.append(invalid(field, path, "must be unique"))
    if ".." in path.split("/"):
        return [*causes, invalid(field, path, "can not contain backsteps ('..')")]
    seen.add(path)
    return causes
