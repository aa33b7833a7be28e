"""From messages that a client of our socket sends to the contract's values. Pure; the opposite of ``translate``."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import ContainerConfig, Credentials, DNSConfig, Mount, Resources, SandboxConfig, Security
from bareboat.contracts.errors import InvalidConfig
from bareboat_cri_grpc.translate import PROPAGATION

_PROPAGATION = {number: word for word, number in PROPAGATION.items()}


def sandbox(message: Any, handler: str) -> SandboxConfig:
    """Raises InvalidConfig."""
    meta, spaces = message.metadata, message.linux.security_context.namespace_options
    if not (meta.name and meta.uid):
        raise InvalidConfig("metadata: name and uid are required")
    dns = message.dns_config
    return SandboxConfig(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        attempt=meta.attempt,
        hostname=message.hostname,
        log_directory=message.log_directory,
        dns=DNSConfig(servers=tuple(dns.servers), searches=tuple(dns.searches), options=tuple(dns.options)),
        labels=dict(message.labels),
        annotations=dict(message.annotations),
        host_network=spaces.network == pb.NODE,
        host_pid=spaces.pid == pb.NODE,
        host_ipc=spaces.ipc == pb.NODE,
        share_process_namespace=spaces.pid == pb.POD and message.linux.HasField("security_context"),
        sysctls=dict(message.linux.sysctls),
        runtime_handler=handler,
    )


def container(message: Any, log_directory: str) -> ContainerConfig:
    """Raises InvalidConfig."""
    if not message.metadata.name or not message.image.image:
        raise InvalidConfig("metadata.name and image are required")
    return ContainerConfig(
        name=message.metadata.name,
        attempt=message.metadata.attempt,
        image=message.image.image,
        command=tuple(message.command),
        args=tuple(message.args),
        working_dir=message.working_dir,
        env=tuple((e.key, e.value) for e in message.envs),
        mounts=tuple(_mount(m) for m in message.mounts),
        devices=tuple((d.host_path, d.container_path, d.permissions) for d in message.devices),
        labels=dict(message.labels),
        annotations=dict(message.annotations),
        log_path=os.path.normpath(os.path.join(log_directory, message.log_path)) if message.log_path else "",
        stdin=message.stdin,
        stdin_once=message.stdin_once,
        tty=message.tty,
        resources=resources(message.linux.resources),
        security=_security(message.linux.security_context),
        target_id=message.linux.security_context.namespace_options.target_id,
    )


def _mount(message: Any) -> Mount:
    word = _PROPAGATION.get(message.propagation, "None")
    return Mount(container_path=message.container_path, host_path=message.host_path, readonly=message.readonly, propagation=word)


def resources(message: Any) -> Resources:
    pids = message.unified.get("pids.max", "0")
    return Resources(
        cpu_shares=message.cpu_shares,
        cpu_quota=message.cpu_quota,
        cpu_period=message.cpu_period or 100_000,
        memory_limit=message.memory_limit_in_bytes,
        oom_score_adj=message.oom_score_adj,
        pids_limit=int(pids) if pids.isdigit() else 0,
    )


def _security(message: Any) -> Security:
    return Security(
        run_as_user=message.run_as_user.value if message.HasField("run_as_user") else None,
        run_as_group=message.run_as_group.value if message.HasField("run_as_group") else None,
        supplemental_groups=tuple(message.supplemental_groups),
        privileged=message.privileged,
        readonly_rootfs=message.readonly_rootfs,
        allow_privilege_escalation=not message.no_new_privs,
        add_capabilities=tuple(message.capabilities.add_capabilities),
        drop_capabilities=tuple(message.capabilities.drop_capabilities),
        seccomp=_seccomp(message),
        proc_mount="" if message.masked_paths else "Unmasked",
    )


def _seccomp(message: Any) -> str:
    if not message.HasField("seccomp"):
        return ""
    kinds = {pb.SecurityProfile.RuntimeDefault: "RuntimeDefault", pb.SecurityProfile.Unconfined: "Unconfined"}
    return kinds.get(message.seccomp.profile_type, f"Localhost/{message.seccomp.localhost_ref}")


def credentials(message: Any) -> Credentials | None:
    """Raises InvalidConfig."""
    username, password = message.username, message.password
    if message.auth:
        try:
            username, _, password = base64.b64decode(message.auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidConfig(f"auth: {error}") from error
    if not (username or message.registry_token):
        return None
    return Credentials(username=username, password=password, registry_token=message.registry_token)
