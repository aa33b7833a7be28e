"""The checks that the level restricted adds: hardened pods only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat_admission_builtin.pod_security.violations import (
    Check,
    Violation,
    each,
    in_user_namespace,
    plural,
    profile_of,
    quoted,
    setters,
)

_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret")
_PROFILES = ("RuntimeDefault", "Localhost")


def _windows(spec: Any) -> bool:
    return spec.os is not None and spec.os.name == "windows"


def _not_on_windows(check: Check) -> Check:
    return lambda annotations, spec: None if _windows(spec) else check(annotations, spec)


def privilege_escalation(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    bad = [c.name for c, context in each(spec) if context is None or context.allowPrivilegeEscalation is not False]
    if not bad:
        return None
    return Violation(
        "allowPrivilegeEscalation != false", f"{plural('container', bad)} must set securityContext.allowPrivilegeEscalation=false"
    )


def capabilities(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    missing, adding, added = [], [], set()
    for container, context in each(spec):
        given = context.capabilities if context is not None else None
        if given is None or "ALL" not in given.drop:
            missing.append(container.name)
        wanted = set(given.add) - {"NET_BIND_SERVICE"} if given is not None else set()
        if wanted:
            adding.append(container.name)
            added |= wanted
    details = [f'{plural("container", missing)} must set securityContext.capabilities.drop=["ALL"]'] if missing else []
    if adding:
        details.append(f"{plural('container', adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    bad, kinds = [], set()
    for volume in spec.volumes:
        if all(getattr(volume, kind) is None for kind in _VOLUMES):
            bad.append(volume.name)
            kinds.add(_kind(volume))
    if not bad:
        return None
    use = "uses" if len(bad) == 1 else "use"
    return Violation("restricted volume types", f"{plural('volume', bad)} {use} restricted {plural('volume type', sorted(kinds))}")


def _kind(volume: Any) -> str:
    given = [name for name in volume.__struct_fields__ if name != "name" and getattr(volume, name) is not None]
    return given[0] if given else "unknown"


def run_as_non_root(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    pod = spec.securityContext.runAsNonRoot if spec.securityContext is not None else None
    given = [(c.name, context.runAsNonRoot if context is not None else None) for c, context in each(spec)]
    bad = [name for name, value in given if value is False]
    if pod is False or bad:
        return Violation("runAsNonRoot != true", f"{setters(pod is False, bad)} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in given if value is None] if pod is None else []
    if not silent:
        return None
    return Violation("runAsNonRoot != true", f"pod or {plural('container', silent)} must set securityContext.runAsNonRoot=true")


def run_as_user(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    pod = spec.securityContext is not None and spec.securityContext.runAsUser == 0
    bad = [c.name for c, context in each(spec) if context is not None and context.runAsUser == 0]
    return Violation("runAsUser=0", f"{setters(pod, bad)} must not set runAsUser=0") if pod or bad else None


def seccomp_profile(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    pod = profile_of(spec.securityContext, "seccompProfile")
    given = [(c.name, profile_of(context, "seccompProfile")) for c, context in each(spec)]
    bad = [(name, kind) for name, kind in given if kind is not None and kind not in _PROFILES]
    wrong_pod = pod is not None and pod not in _PROFILES
    if wrong_pod or bad:
        values = {kind for _, kind in bad if kind} | ({pod} if wrong_pod and pod else set())
        names = [name for name, _ in bad]
        detail = f"{setters(wrong_pod, names)} must not set securityContext.seccompProfile.type to {quoted(sorted(values))}"
        return Violation("seccompProfile", detail)
    silent = [name for name, kind in given if kind is None] if pod is None else []
    if not silent:
        return None
    detail = f'pod or {plural("container", silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", detail)


def _relaxed(check: Check, version: int) -> Check:
    """Root of a user namespace is nobody outside."""
    return (lambda annotations, spec: None if in_user_namespace(spec) else check(annotations, spec)) if version >= 34 else check


#: (name, since, makes the check for a version), in upstream's order; checks of baseline that they replace.
CHECKS: tuple[tuple[str, int, Callable[[int], Check]], ...] = (
    ("allowPrivilegeEscalation", 8, lambda v: _not_on_windows(privilege_escalation) if v >= 25 else privilege_escalation),
    ("capabilities_restricted", 22, lambda v: _not_on_windows(capabilities) if v >= 25 else capabilities),
    ("restrictedVolumes", 0, lambda v: volumes),
    ("runAsNonRoot", 0, lambda v: _relaxed(run_as_non_root, v)),
    ("runAsUser", 23, lambda v: _relaxed(run_as_user, v)),
    ("seccompProfile_restricted", 19, lambda v: _not_on_windows(seccomp_profile) if v >= 25 else seccomp_profile),
)
REPLACES = {
    "capabilities_restricted": "capabilities_baseline",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}
