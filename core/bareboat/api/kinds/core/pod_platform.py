"""What a pod may ask for on the operating system that it names, and with user namespaces of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bareboat.api.kinds.causes import choice, forbidden, invalid
from bareboat.models.status import Cause

_NO_WINDOWS = "cannot be set for a windows pod"
_POD_CONTEXT = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
]
_CONTAINER_CONTEXT = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
]


def validate_platform(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.hostUsers is False:
        fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
        shared = [shown for field, shown in fields if getattr(spec, field)]
        causes += [forbidden(f"{at}.{name}", "when `pod.Spec.HostUsers` is false") for name in shared]
    causes += _host_process(spec, at)
    if spec.os is None:
        return causes
    faults = choice(f"{at}.os.name", spec.os.name, ("linux", "windows"))
    if faults:
        return causes + faults
    return causes + (_linux(spec, at) if spec.os.name == "linux" else _windows(spec, at))


def _contexts(spec: Any, at: str) -> Iterator[tuple[Any, str]]:
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(getattr(spec, part)):
            if container.securityContext is not None:
                yield container.securityContext, f"{at}.{part}[{i}].securityContext"


def _linux(spec: Any, at: str) -> list[Cause]:
    message = "windows options cannot be set for a linux pod"
    context = spec.securityContext
    causes: list[Cause] = []
    if context is not None and context.windowsOptions is not None:
        causes.append(forbidden(f"{at}.securityContext.windowsOptions", message))
    found = [where for held, where in _contexts(spec, at) if held.windowsOptions is not None]
    return causes + [forbidden(f"{where}.windowsOptions", message) for where in found]


def _windows(spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    context = spec.securityContext
    if context is not None:
        held = [name for name in _POD_CONTEXT if getattr(context, name) not in (None, [])]
        causes += [forbidden(f"{at}.securityContext.{name}", _NO_WINDOWS) for name in held]
    if spec.hostUsers is not None:
        causes.append(forbidden(f"{at}.hostUsers", _NO_WINDOWS))
    causes += [forbidden(f"{at}.{name}", _NO_WINDOWS) for name in ("hostPID", "hostIPC") if getattr(spec, name)]
    if spec.shareProcessNamespace is not None:
        causes.append(forbidden(f"{at}.shareProcessNamespace", _NO_WINDOWS))
    for inner, where in _contexts(spec, at):
        set_fields = [name for name in _CONTAINER_CONTEXT if getattr(inner, name) is not None]
        causes += [forbidden(f"{where}.{name}", _NO_WINDOWS) for name in set_fields]
    return causes


def _host_process(spec: Any, at: str) -> list[Cause]:
    """All containers of a pod are host processes, or none is."""
    pod = _asks(spec.securityContext)
    asked = [(_asks(context), where) for context, where in _contexts(spec, at)]
    if pod is None and not any(own for own, _ in asked):
        return []
    causes: list[Cause] = []
    for own, where in asked:
        if pod is not None and own is not None and own != pod:
            message = f"pod hostProcess value must be identical if both are specified, was {str(pod).lower()}"
            causes.append(invalid(f"{where}.windowsOptions.hostProcess", own, message))
    count = sum(len(getattr(spec, part)) for part in ("initContainers", "containers", "ephemeralContainers"))
    processes = sum(1 for own, _ in asked if own) if not pod else count - sum(1 for own, _ in asked if own is False)
    if processes and processes != count:
        causes.append(invalid(at, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
    if processes and not spec.hostNetwork:
        causes.append(invalid(f"{at}.hostNetwork", False, "hostNetwork must be true if pod contains any hostProcess containers"))
    return causes


def _asks(context: Any) -> bool | None:
    return context.windowsOptions.hostProcess if context is not None and context.windowsOptions is not None else None
