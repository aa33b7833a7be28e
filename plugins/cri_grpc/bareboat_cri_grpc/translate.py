"""From the contract's values to messages. Pure. The other direction, for what a runtime lists, is in ``listing``.

The whole configuration travels as an annotation, and who it belongs to as labels: a runtime gives both back in its lists, so that nothing
about sandboxes and containers has to be kept here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import ContainerConfig, Resources, SandboxConfig, Security
from bareboat.contracts.errors import InvalidConfig

CONFIG = "bareboat.io/config"
INSTANCE, UID, ATTEMPT, NAME, SANDBOX = (f"bareboat.io/{word}" for word in ("instance", "uid", "attempt", "name", "sandbox"))
PROPAGATION = {"None": 0, "HostToContainer": 1, "Bidirectional": 2}
#: What a container does not see of the machine, and what it sees without writing, unless its pod asks for it.
MASKED = ("asound", "acpi", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi", "interrupts")
READONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")


def sandbox(config: SandboxConfig, instance: str) -> Any:
    labels = {**config.labels, INSTANCE: instance, UID: config.uid, ATTEMPT: str(config.attempt)}
    message = pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=config.name, uid=config.uid, namespace=config.namespace, attempt=config.attempt),
        hostname=config.hostname,
        log_directory=config.log_directory,
        dns_config=pb.DNSConfig(servers=config.dns.servers, searches=config.dns.searches, options=config.dns.options),
        labels=labels,
        annotations={**config.annotations, CONFIG: msgspec.json.encode(config).decode()},
    )
    message.linux.sysctls.update(config.sysctls)
    security = message.linux.security_context
    security.namespace_options.CopyFrom(namespaces(config))
    # A runtime refuses privileged containers in a sandbox that is not; the contract says it with the container, which comes later.
    security.privileged = True
    return message


def namespaces(config: SandboxConfig, target: str = "") -> Any:
    if target:
        pid = pb.TARGET
    elif config.host_pid:
        pid = pb.NODE
    else:
        pid = pb.POD if config.share_process_namespace else pb.CONTAINER
    return pb.NamespaceOption(
        network=pb.NODE if config.host_network else pb.POD, pid=pid, ipc=pb.NODE if config.host_ipc else pb.POD, target_id=target
    )


def container(config: ContainerConfig, of: SandboxConfig, sandbox_id: str, instance: str) -> Any:
    labels = {**config.labels, INSTANCE: instance, SANDBOX: sandbox_id[:63], NAME: config.name, ATTEMPT: str(config.attempt)}
    message = pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=config.name, attempt=config.attempt),
        image=pb.ImageSpec(image=config.image),
        command=config.command,
        args=config.args,
        working_dir=config.working_dir,
        envs=[pb.KeyValue(key=k, value=v) for k, v in config.env],
        mounts=[_mount(m) for m in config.mounts],
        devices=[pb.Device(host_path=h, container_path=c, permissions=p) for h, c, p in config.devices],
        labels=labels,
        annotations={**config.annotations, CONFIG: msgspec.json.encode(config).decode()},
        log_path=os.path.relpath(config.log_path, of.log_directory) if config.log_path and of.log_directory else "",
        stdin=config.stdin,
        stdin_once=config.stdin_once,
        tty=config.tty,
    )
    message.linux.resources.CopyFrom(resources(config.resources))
    message.linux.security_context.CopyFrom(security(config.security, namespaces(of, config.target_id)))
    return message


def _mount(mount: Any) -> Any:
    return pb.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.readonly,
        propagation=PROPAGATION.get(mount.propagation, 0),
    )


def resources(asked: Resources) -> Any:
    """A limit of processes is there with unified control groups only: the interface has no other word for it."""
    message = pb.LinuxContainerResources(
        cpu_shares=asked.cpu_shares,
        cpu_quota=asked.cpu_quota,
        cpu_period=asked.cpu_period if asked.cpu_quota else 0,
        memory_limit_in_bytes=asked.memory_limit,
        oom_score_adj=asked.oom_score_adj,
    )
    if asked.pids_limit > 0 and UNIFIED.exists():
        message.unified["pids.max"] = str(asked.pids_limit)
    return message


def security(asked: Security, options: Any) -> Any:
    if asked.strict_groups:
        raise InvalidConfig("this version of the interface cannot say supplementalGroupsPolicy Strict")
    message = pb.LinuxContainerSecurityContext(
        capabilities=pb.Capability(add_capabilities=asked.add_capabilities, drop_capabilities=asked.drop_capabilities),
        privileged=asked.privileged,
        namespace_options=options,
        readonly_rootfs=asked.readonly_rootfs,
        supplemental_groups=asked.supplemental_groups,
        no_new_privs=not asked.allow_privilege_escalation,
    )
    if asked.run_as_user is not None:
        message.run_as_user.value = asked.run_as_user
        if asked.run_as_group is not None:
            message.run_as_group.value = asked.run_as_group
    if not asked.privileged and asked.proc_mount != "Unmasked":
        message.masked_paths.extend([*(f"/proc/{word}" for word in MASKED), "/sys/firmware", "/sys/devices/virtual/powercap"])
        message.readonly_paths.extend(f"/proc/{word}" for word in READONLY)
    if asked.seccomp:
        message.seccomp.CopyFrom(_profile(asked.seccomp))
    return message


def _profile(word: str) -> Any:
    kind, _, path = word.partition("/")
    if kind == "RuntimeDefault":
        return pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault)
    if kind == "Unconfined":
        return pb.SecurityProfile(profile_type=pb.SecurityProfile.Unconfined)
    if kind == "Localhost" and path:
        return pb.SecurityProfile(profile_type=pb.SecurityProfile.Localhost, localhost_ref=path)
    raise InvalidConfig(f"seccomp profile {word!r} is none of RuntimeDefault, Unconfined, Localhost/<path>")
