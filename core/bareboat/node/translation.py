"""From pods and containers of the API to the runtime contract's configurations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bareboat.contracts import cri
from bareboat.contracts.errors import InvalidConfig
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.node.config import CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID
from bareboat.node.environment import expand
from bareboat.node.status import is_sidecar

#: What the container's image was called, to see when that changes.
IMAGE = "bareboat.dev/image"


def labels_of(pod: core_v1.Pod, container: str = "") -> dict[str, str]:
    found = {POD_NAME: pod.metadata.name, POD_NAMESPACE: pod.metadata.namespace, POD_UID: pod.metadata.uid}
    return {**found, CONTAINER_NAME: container} if container else found


def grace_of(pod: core_v1.Pod) -> float:
    seconds = pod.spec.terminationGracePeriodSeconds
    return 30.0 if seconds is None else float(seconds)


def image_of(config: cri.ContainerConfig) -> str:
    """What the pod said when the container was made, "" if that is not known."""
    return config.annotations.get(IMAGE, "")


def sandbox_config(pod: core_v1.Pod, log_directory: str, attempt: int, domain: str) -> cri.SandboxConfig:
    spec = pod.spec
    security = spec.securityContext
    return cri.SandboxConfig(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        uid=pod.metadata.uid,
        attempt=attempt,
        hostname="" if spec.hostNetwork else kernel_hostname(pod, domain),
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
    return pod.spec.hostnameOverride or pod.spec.hostname or pod.metadata.name[:63].rstrip("-.")


def kernel_hostname(pod: core_v1.Pod, domain: str) -> str:
    """With the domain if the pod wants it. The kernel takes no more than 64 bytes."""
    if not pod.spec.setHostnameAsFQDN or not pod.spec.subdomain or pod.spec.hostnameOverride:
        return hostname(pod)
    full = f"{hostname(pod)}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}"
    if len(full) > 64:
        message = f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long (64 characters is the max)"
        raise InvalidConfig(f"{message}, {len(full)} characters requested", reason="FailedCreatePodSandBox")
    return full


def port_mappings(pod: core_v1.Pod) -> tuple[cri.PortMapping, ...]:
    return tuple(
        cri.PortMapping(container_port=p.containerPort, host_port=p.hostPort, protocol=p.protocol or "TCP", host_ip=p.hostIP)
        for c in (*pod.spec.containers, *filter(is_sidecar, pod.spec.initContainers))
        for p in c.ports
        if p.hostPort
    )


def resources(pod: core_v1.Pod, container: core_v1.Container, node_memory: str) -> cri.Resources:
    limits, requests = container.resources.limits, container.resources.requests
    cpu_request = Quantity.parse(requests.get("cpu", limits.get("cpu", "0"))).milli()
    cpu_limit = Quantity.parse(limits.get("cpu", "0")).milli()
    memory = Quantity.parse(limits.get("memory", "0")).value()
    return cri.Resources(
        cpu_shares=min(262144, max(2, cpu_request * 1024 // 1000)) if cpu_request else 2,
        cpu_quota=max(1000, cpu_limit * 100) if cpu_limit else 0,
        memory_limit=memory,
        oom_score_adj=_oom_score(pod, container, Quantity.parse(node_memory).value()),
    )


def _oom_score(pod: core_v1.Pod, container: core_v1.Container, node_memory: int) -> int:
    """The less a container is promised, the sooner it goes when the node is out of memory."""
    if pod.spec.priorityClassName == "system-node-critical" or pod.status.qosClass == "Guaranteed":
        return -997
    if pod.status.qosClass == "BestEffort" or not node_memory:
        return 1000
    request = Quantity.parse(container.resources.requests.get("memory", container.resources.limits.get("memory", "0"))).value()
    return min(999, max(3, 1000 - 1000 * request // node_memory))


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
        strict_groups=pod_level.supplementalGroupsPolicy == "Strict",
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
    node_memory: str = "0",
    target_id: str = "",
    devices: tuple[tuple[str, str, str], ...] = (),
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
        devices=devices,
        labels=labels_of(pod, container.name),
        annotations={IMAGE: container.image},
        log_path=log_path,
        stdin=container.stdin,
        stdin_once=container.stdinOnce,
        tty=container.tty,
        stop_signal=(container.lifecycle.stopSignal if container.lifecycle is not None else "") or "",
        resources=resources(pod, container, node_memory),
        security=security(pod, container),
        target_id=target_id,
    )
