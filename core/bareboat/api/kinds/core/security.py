"""Security contexts of pods and containers: users, profiles, sysctls, windows options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bareboat.api.kinds import capabilities
from bareboat.api.kinds.causes import duplicate, each, forbidden, in_range, invalid, required, too_long, unsupported
from bareboat.api.kinds.core.paths import descending
from bareboat.models.names import dns1123_subdomain
from bareboat.models.status import Cause

_MAX_ID = 2**31 - 1
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"({_SEGMENT}[\./])*{_SEGMENT}", re.ASCII)
_CHOICES = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("MountOption", "Recursive"),
}
_LONGEST_PROFILE = 4095


def validate_pod_security(context: Any, spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        causes += _identity(f"{at}.{field}", getattr(context, field))
    for i, group in enumerate(context.supplementalGroups):
        causes += _identity(f"{at}.supplementalGroups[{i}]", group)
    if spec.shareProcessNamespace and spec.hostPID:
        causes.append(invalid(f"{at}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"))
    causes += _sysctls(context.sysctls, spec, f"{at}.sysctls")
    for field, allowed in _CHOICES.items():
        value = getattr(context, field)
        if value is not None and value not in allowed:
            causes.append(unsupported(f"{at}.{field}", value, allowed))
    return causes + _profiles(context, at)


def _identity(field: str, value: int | None) -> list[Cause]:
    return [] if value is None else in_range(field, value, 0, _MAX_ID)


def _sysctls(sysctls: Iterable[Any], spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        field = f"{at}[{i}].name"
        if not sysctl.name:
            causes.append(required(field))
        elif len(sysctl.name) > 253 or not _SYSCTL.fullmatch(sysctl.name):
            causes.append(invalid(field, sysctl.name, f"must have at most 253 characters and match regex ^{_SYSCTL.pattern}$"))
        elif sysctl.name in seen:
            causes.append(duplicate(field, sysctl.name))
        seen.add(sysctl.name)
        name = sysctl.name.replace("/", ".")
        if spec.hostNetwork and name.startswith("net."):
            causes.append(invalid(field, sysctl.name, "may not be specified when 'hostNetwork' is true"))
        elif spec.hostIPC and name.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            causes.append(invalid(field, sysctl.name, "may not be specified when 'hostIPC' is true"))
    return causes


def _profiles(context: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if context.seccompProfile is not None:
        causes += _seccomp(context.seccompProfile, f"{at}.seccompProfile")
    if context.windowsOptions is not None:
        causes += _windows(context.windowsOptions, f"{at}.windowsOptions")
    if context.appArmorProfile is not None:
        causes += _app_armor(context.appArmorProfile, f"{at}.appArmorProfile")
    return causes


def _seccomp(profile: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not profile.type:
        causes.append(required(f"{at}.type", "type is required when seccompProfile is set"))
    elif profile.type not in _PROFILES:
        causes.append(unsupported(f"{at}.type", profile.type, _PROFILES))
    local = profile.localhostProfile
    if profile.type == "Localhost":
        if local is None:
            return [*causes, required(f"{at}.localhostProfile", "must be set when seccomp type is Localhost")]
        return causes + descending(f"{at}.localhostProfile", local)
    if local is not None:
        causes.append(invalid(f"{at}.localhostProfile", profile, "can only be set when seccomp type is Localhost"))
    return causes


def _app_armor(profile: Any, at: str) -> list[Cause]:
    local, field = profile.localhostProfile, f"{at}.localhostProfile"
    if profile.type == "Localhost":
        if not local:
            return [required(field, "must be set when AppArmor type is Localhost")]
        causes = [] if local == local.strip() else [invalid(field, local, "must not be padded with whitespace")]
        return causes + ([too_long(field, _LONGEST_PROFILE)] if len(local.encode()) > _LONGEST_PROFILE else [])
    if not profile.type:
        return [required(f"{at}.type", "type is required when appArmorProfile is set")]
    if profile.type not in _PROFILES:
        return [unsupported(f"{at}.type", profile.type, _PROFILES)]
    return [] if local is None else [invalid(field, local, "can only be set when AppArmor type is Localhost")]


def validate_container_security(context: Any, spec: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if context.privileged and not capabilities.CURRENT.allow_privileged:
        causes.append(forbidden(f"{at}.privileged", "disallowed by cluster policy"))
    for field in ("runAsUser", "runAsGroup"):
        causes += _identity(f"{at}.{field}", getattr(context, field))
    mount = context.procMount
    if mount is not None and mount not in ("Default", "Unmasked"):
        causes.append(unsupported(f"{at}.procMount", mount, ("Default", "Unmasked")))
    if mount == "Unmasked" and spec.hostUsers is not False:
        causes.append(invalid(f"{at}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    if context.allowPrivilegeEscalation is False:
        causes += _escalation(context, at)
    return causes + _profiles(context, at)


def _escalation(context: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if context.privileged:
        message = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        causes.append(invalid(at, context, message))
    if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
        message = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        causes.append(invalid(at, context, message))
    return causes


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DOMAIN_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*")
_BAD_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_CREDENTIAL_LIMIT = 64 * 1024


def _windows(options: Any, at: str) -> list[Cause]:
    causes: list[Cause] = []
    name, credential, user = options.gmsaCredentialSpecName, options.gmsaCredentialSpec, options.runAsUserName
    if name is not None:
        causes += each(f"{at}.gmsaCredentialSpecName", name, dns1123_subdomain(name))
    if credential == "":
        causes.append(invalid(f"{at}.gmsaCredentialSpec", credential, "gmsaCredentialSpec cannot be an empty string"))
    elif credential is not None and len(credential.encode()) > _CREDENTIAL_LIMIT:
        causes.append(invalid(f"{at}.gmsaCredentialSpec", credential, "gmsaCredentialSpec size must be under 64 KiB"))
    if user is not None:
        causes += [invalid(f"{at}.runAsUserName", user, fault) for fault in _windows_user(user)]
    return causes


def _windows_user(text: str) -> list[str]:
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, slash, user = text.rpartition("\\")
    faults: list[str] = []
    if len(domain.encode()) >= 256:
        faults.append("runAsUserName's Domain length must be under 256 characters")
    if slash and not _NETBIOS.fullmatch(domain) and not _DOMAIN.fullmatch(domain):
        faults.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        faults.append("runAsUserName's User cannot be empty")
    elif len(user.encode()) > 104:
        faults.append("runAsUserName's User length must not be longer than 104 characters")
    if user and not user.strip(". "):
        faults.append("runAsUserName's User cannot contain only periods or spaces")
    if _BAD_USER.search(user):
        faults.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return faults
