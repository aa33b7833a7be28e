"""From pods and containers of the API to the runtime contract's configurations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.node.config import CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID
from bareboat.node.environment import expand


def labels_of(pod: core_v1.Pod, container: str = "") -> dict[str, str]:
    found = {POD_NAME: pod.metadata.name, POD_NAMESPACE: pod.metadata.namespace, POD_UID: pod.metadata.uid}
    return {**found, CONTAINER_NAME: container} if container else found


def sandbox_config(pod: core_v1.Pod, log_directory: str, attempt: int) -> cri.SandboxConfig:
    spec = pod.spec
    security = spec.securityContext
    return cri.SandboxConfig(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        uid=pod.metadata.uid,
        attempt=attempt,
        hostname="" if spec.hostNetwork else hostname(pod),
        log_directory=log_directory,
        labels=labels_of(pod),
        annotations=dict(pod.metadata.annotations),
        host_network=spec.hostNetwork,
        host_pid=spec.hostPID,
        host_ipc=spec.hostIPC,
        share_process_namespace=bool(spec.shareProcessNamespace),
        sysctls={s.name: s.value for s in security.sysctls} if security is not None else {},
    )


def hostname(pod: core_v1.Pod) -> str:
    return pod.spec.hostname or pod.metadata.name[:63].rstrip("-.")


def port_mappings(pod: core_v1.Pod) -> tuple[cri.PortMapping, ...]:
    return tuple(
        cri.PortMapping(container_port=p.containerPort, host_port=p.hostPort, protocol=p.protocol or "TCP", host_ip=p.hostIP)
        for c in pod.spec.containers
        for p in c.ports
        if p.hostPort
    )


def resources(container: core_v1.Container) -> cri.Resources:
    limits, requests = container.resources.limits, container.resources.requests
    cpu_request = Quantity.parse(requests.get("cpu", limits.get("cpu", "0"))).milli()
    cpu_limit = Quantity.parse(limits.get("cpu", "0")).milli()
    memory = Quantity.parse(limits.get("memory", "0")).value()
    return cri.Resources(
        cpu_shares=max(2, cpu_request * 1024 // 1000) if cpu_request else 2,
        cpu_quota=max(1000, cpu_limit * 100) if cpu_limit else 0,
        memory_limit=memory,
    )


def security(pod: core_v1.Pod, container: core_v1.Container) -> cri.Security:
    """The container's own settings, else the pod's."""
    pod_level, own = pod.spec.securityContext or core_v1.PodSecurityContext(), container.securityContext or core_v1.SecurityContext()

    def either(name: str) -> Any:
        value = getattr(own, name)
        return getattr(pod_level, name) if value is None else value

    groups = {*pod_level.supplementalGroups, *([pod_level.fsGroup] if pod_level.fsGroup is not None else [])}
    capabilities = own.capabilities or core_v1.Capabilities()
    return cri.Security(
        run_as_user=either("runAsUser"),
        run_as_group=either("runAsGroup"),
        run_as_non_root=bool(either("runAsNonRoot")),
        supplemental_groups=tuple(sorted(groups)),
        privileged=bool(own.privileged),
        readonly_rootfs=bool(own.readOnlyRootFilesystem),
        allow_privilege_escalation=own.allowPrivilegeEscalation is not False,
        add_capabilities=tuple(capabilities.add),
        drop_capabilities=tuple(capabilities.drop),
        seccomp=_seccomp(either("seccompProfile")),
        proc_mount=own.procMount or "",
    )


def _seccomp(profile: Any) -> str:
    if profile is None:
        return ""
    return f"Localhost/{profile.localhostProfile}" if profile.type == "Localhost" else str(profile.type)


def container_config(
    pod: core_v1.Pod,
    container: core_v1.Container,
    image: str,
    environment: Mapping[str, str],
    mounts: tuple[cri.Mount, ...],
    log_path: str,
    attempt: int,
) -> cri.ContainerConfig:
    return cri.ContainerConfig(
        name=container.name,
        image=image,
        attempt=attempt,
        command=tuple(expand(word, environment) for word in container.command),
        args=tuple(expand(word, environment) for word in container.args),
        working_dir=container.workingDir,
        env=tuple(environment.items()),
        mounts=mounts,
        labels=labels_of(pod, container.name),
        log_path=log_path,
        stdin=container.stdin,
        stdin_once=container.stdinOnce,
        tty=container.tty,
        resources=resources(container),
        security=security(pod, container),
    )
