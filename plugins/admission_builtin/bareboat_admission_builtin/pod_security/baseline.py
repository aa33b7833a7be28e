"""The checks of the level baseline: no known escalation of privileges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.models.status import quote
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

_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SYSCTLS = (
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
)
_SELINUX = (*((0, t) for t in ("", "container_t", "container_init_t", "container_kvm_t")), (31, "container_engine_t"))
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def app_armor(annotations: dict[str, str], spec: Any) -> Violation | None:
    pod = profile_of(spec.securityContext, "appArmorProfile")
    values = {pod} if pod == "Unconfined" else set()
    bad = [c.name for c, context in each(spec) if profile_of(context, "appArmorProfile") == "Unconfined"]
    values |= {"Unconfined"} if bad else set()
    noted = {k: v for k, v in annotations.items() if k.startswith(_APPARMOR) and v not in ("", "runtime/default")}
    noted = {k: v for k, v in noted.items() if not v.startswith("localhost/")}
    details = []
    if values:
        details.append(f'{setters(pod == "Unconfined", bad)} must not set AppArmor profile type to "Unconfined"')
    details += sorted(f"{key}={quote(value)}" for key, value in noted.items())
    if not details:
        return None
    count = len(noted) + len(values)
    return Violation("forbidden AppArmor profile" + ("s" if count > 1 else ""), ", ".join(details))


def capabilities(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    bad, added = [], set()
    for container, context in each(spec):
        wanted = set(context.capabilities.add) - _CAPABILITIES if context is not None and context.capabilities is not None else set()
        if wanted:
            bad.append(container.name)
            added |= wanted
    if not bad:
        return None
    detail = f"{plural('container', bad)} must not include {quoted(sorted(added))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if getattr(spec, name)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    found = [v.name for v in spec.volumes if v.hostPath is not None]
    return Violation("hostPath volumes", plural("volume", found)) if found else None


def host_ports(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    bad, numbers = [], set()
    for container, _ in each(spec):
        found = {str(p.hostPort) for p in container.ports if p.hostPort}
        if found:
            bad.append(container.name)
            numbers |= found
    if not bad:
        return None
    use = "uses" if len(bad) == 1 else "use"
    ports = "hostPort" if len(numbers) == 1 else "hostPorts"
    return Violation("hostPort", f"{plural('container', bad)} {use} {ports} {', '.join(sorted(numbers))}")


def host_probes(annotations: dict[str, str], spec: Any) -> Violation | None:
    """Probes and lifecycle hooks that reach for other hosts, through the node's own network."""
    del annotations
    bad, hosts = [], set()
    for container, _ in each(spec):
        found = {host for host in _hosts(container) if host}
        if found:
            bad.append(container.name)
            hosts |= found
    if not bad:
        return None
    use = "uses" if len(bad) == 1 else "use"
    word = "host" if len(hosts) == 1 else "hosts"
    return Violation("probe or lifecycle host", f"{plural('container', bad)} {use} probe or lifecycle {word} {quoted(sorted(hosts))}")


def _hosts(container: Any) -> list[str]:
    handlers = [container.livenessProbe, container.readinessProbe, container.startupProbe]
    if container.lifecycle is not None:
        handlers += [container.lifecycle.postStart, container.lifecycle.preStop]
    actions = [a for h in handlers if h is not None for a in (h.httpGet, h.tcpSocket) if a is not None]
    return [action.host for action in actions]


def privileged(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    bad = [c.name for c, context in each(spec) if context is not None and context.privileged]
    return Violation("privileged", f"{plural('container', bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    found = [(c.name, context.procMount) for c, context in each(spec) if context is not None and context.procMount not in (None, "Default")]
    if not found:
        return None
    values = quoted(sorted({value or "" for _, value in found}))
    return Violation("procMount", f"{plural('container', [n for n, _ in found])} must not set securityContext.procMount to {values}")


def proc_mount_of_users(annotations: dict[str, str], spec: Any) -> Violation | None:
    """What a pod unmasks in a user namespace of its own is its own."""
    return None if in_user_namespace(spec) else proc_mount(annotations, spec)


def selinux_options(version: int) -> Check:
    allowed = {kind for since, kind in _SELINUX if since <= version}

    def check(annotations: dict[str, str], spec: Any) -> Violation | None:
        del annotations
        types: set[str] = set()
        others: set[str] = set()
        pod = _selinux(spec.securityContext, allowed, types, others)
        bad = [c.name for c, context in each(spec) if _selinux(context, allowed, types, others)]
        if not pod and not bad:
            return None
        data = [plural("type", sorted(types))] if types else []
        data += [f"{name} may not be set" for name in ("user", "role") if name in others]
        return Violation("seLinuxOptions", f"{setters(pod, bad)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")

    return check


def _selinux(context: Any, allowed: set[str], types: set[str], others: set[str]) -> bool:
    options = context.seLinuxOptions if context is not None else None
    if options is None:
        return False
    bad_type = {options.type} - allowed
    named = {name for name in ("user", "role") if getattr(options, name)}
    types |= bad_type
    others |= named
    return bool(bad_type or named)


def seccomp_profile(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations
    pod = profile_of(spec.securityContext, "seccompProfile") == "Unconfined"
    bad = [c.name for c, context in each(spec) if profile_of(context, "seccompProfile") == "Unconfined"]
    if not pod and not bad:
        return None
    return Violation("seccompProfile", f'{setters(pod, bad)} must not set securityContext.seccompProfile.type to "Unconfined"')


def sysctls(version: int) -> Check:
    allowed = {name for since, name in _SYSCTLS if since <= version}

    def check(annotations: dict[str, str], spec: Any) -> Violation | None:
        del annotations
        asked = spec.securityContext.sysctls if spec.securityContext is not None else []
        bad = [s.name for s in asked if s.name not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def windows_host_process(annotations: dict[str, str], spec: Any) -> Violation | None:
    del annotations

    def process(context: Any) -> bool:
        return context is not None and context.windowsOptions is not None and bool(context.windowsOptions.hostProcess)

    pod, bad = process(spec.securityContext), [c.name for c, context in each(spec) if process(context)]
    if not pod and not bad:
        return None
    return Violation("hostProcess", f"{setters(pod, bad)} must not set securityContext.windowsOptions.hostProcess=true")


#: (name, since, makes the check for a version), in upstream's order.
CHECKS: tuple[tuple[str, int, Callable[[int], Check]], ...] = (
    ("appArmorProfile", 0, lambda v: app_armor),
    ("capabilities_baseline", 0, lambda v: capabilities),
    ("hostNamespaces", 0, lambda v: host_namespaces),
    ("hostPathVolumes", 0, lambda v: host_path_volumes),
    ("hostPorts", 0, lambda v: host_ports),
    ("hostProbesAndHostLifecycle", 34, lambda v: host_probes),
    ("privileged", 0, lambda v: privileged),
    ("procMount", 0, lambda v: proc_mount_of_users if v >= 35 else proc_mount),
    ("seLinuxOptions", 0, selinux_options),
    ("seccompProfile_baseline", 0, lambda v: seccomp_profile),
    ("sysctls", 0, sysctls),
    ("windowsHostProcess", 0, lambda v: windows_host_process),
)
