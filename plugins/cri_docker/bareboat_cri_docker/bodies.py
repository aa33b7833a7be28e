"""Contract configurations → bodies of the Engine API's create and update calls. Pure functions.

A sandbox is a container of the pause image; a container joins its namespaces. What was asked for is kept as a label, word for word: that
is how a later process knows it, and how a repeated call is told from a conflicting one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from bareboat.contracts.cri import ContainerConfig, Mount, Resources, SandboxConfig, Security
from bareboat.contracts.errors import InvalidConfig
from bareboat_cri_docker.host_network import entered
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.privileges import held_capabilities, host_part, oom_score
from bareboat_cri_docker.translate import CONFIG, INSTANCE, KIND, SANDBOX

_PROPAGATION = {"None": "rprivate", "": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,180}")


def name_of(instance: str, kind: str, *key: object) -> str:
    """A container name that follows from the key: the daemon lets no two have the same, whoever asks."""
    words = "_".join(str(k) for k in key)
    safe = words if _NAME.fullmatch(words) else hashlib.sha256(words.encode()).hexdigest()
    return f"bareboat_{instance}_{kind}_{safe}"


def labels(instance: str, kind: str, config: SandboxConfig | ContainerConfig, sandbox: str = "") -> dict[str, str]:
    own = {INSTANCE: instance, KIND: kind, CONFIG: msgspec.json.encode(config).decode()}
    return {**config.labels, **own, **({SANDBOX: sandbox} if sandbox else {})}


def sandbox_body(config: SandboxConfig, instance: str, image: str, netns: str) -> dict[str, Any]:
    """``netns``: the host's network, if it is not the daemon's."""
    host: dict[str, Any] = {
        "NetworkMode": "host" if config.host_network else "none",
        "IpcMode": "host" if config.host_ipc else "shareable",
        "PidMode": "host" if config.host_pid else "",
        "UTSMode": "host" if config.host_network and not config.hostname else "",
        "Sysctls": config.sysctls,
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "none"},
        "Dns": list(config.dns.servers),
        "DnsSearch": list(config.dns.searches),
        "DnsOptions": list(config.dns.options),
        "CpuShares": 2,
    }
    if config.host_network and netns:
        host |= entered(netns)
    body = {"Image": image, "Labels": labels(instance, "sandbox", config), "HostConfig": host}
    return body | ({"Hostname": config.hostname} if config.hostname else {})


def container_body(
    config: ContainerConfig,
    sandbox_id: str,
    sandbox: SandboxConfig,
    image: dict[str, Any],
    instance: str,
    options: DockerOptions,
    netns: str,
) -> dict[str, Any]:
    """``netns`` as for the sandbox."""
    body: dict[str, Any] = {
        "Image": image["Id"],
        "Labels": labels(instance, "container", config, sandbox_id),
        "Env": environment(config),
        "WorkingDir": config.working_dir,
        "User": user(config.security, (image.get("Config") or {}).get("User") or ""),
        "Tty": config.tty,
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin_once,
        "StopSignal": config.stop_signal,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(config, sandbox_id, sandbox, options, daemon_network=sandbox.host_network and not netns),
    }
    if config.command:
        body["Entrypoint"] = list(config.command)
    if config.args or config.command:
        body["Cmd"] = list(config.args)
    return body


def _host_config(
    config: ContainerConfig, sandbox_id: str, sandbox: SandboxConfig, options: DockerOptions, *, daemon_network: bool
) -> dict[str, Any]:
    security, inside, held = config.security, f"container:{sandbox_id}", held_capabilities()
    if security.strict_groups:
        raise InvalidConfig("the daemon always adds the groups of the image: supplementalGroupsPolicy Strict cannot be kept")
    host: dict[str, Any] = {
        "NetworkMode": "host" if daemon_network else inside,
        "IpcMode": "host" if sandbox.host_ipc else inside,
        "PidMode": _pid_mode(config, sandbox, inside),
        "UTSMode": "host" if sandbox.host_network and not sandbox.hostname else "",
        "Mounts": [mount(m) for m in config.mounts],
        "Devices": [{"PathOnHost": h, "PathInContainer": c, "CgroupPermissions": p} for h, c, p in config.devices],
        "ReadonlyRootfs": security.readonly_rootfs,
        "GroupAdd": [str(g) for g in security.supplemental_groups],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": options.log_size, "max-file": "2"}},
        "OomScoreAdj": oom_score(config.resources.oom_score_adj, held),
        **limits(config.resources),
        "PidsLimit": config.resources.pids_limit or options.pids_limit or -1,
    }
    rights = host_part(security, held, seccomp_default=options.seccomp_default)
    return {**host, **rights, "Devices": [*host["Devices"], *rights.get("Devices", ())]}


def _pid_mode(config: ContainerConfig, sandbox: SandboxConfig, inside: str) -> str:
    if sandbox.host_pid:
        return "host"
    if sandbox.share_process_namespace:
        return inside
    return f"container:{config.target_id}" if config.target_id else ""


def environment(config: ContainerConfig) -> list[str]:
    """In order, later wins."""
    for name, value in config.env:
        if "\0" in name + value or "=" in name or not name:
            raise InvalidConfig(f"environment variable {name!r} cannot be set", reason="CreateContainerError")
    return [f"{name}={value}" for name, value in dict(config.env).items()]


def user(security: Security, image_user: str) -> str:
    """``user[:group]``. Numbers as the pod says, else the image's; refused where the pod forbids root and it would be root."""
    name, _, group = image_user.partition(":")
    if security.run_as_user is not None:
        name, group = str(security.run_as_user), ""
    if security.run_as_non_root and name in ("", "0", "root"):
        raise InvalidConfig("container has runAsNonRoot and image will run as root", reason="CreateContainerConfigError")
    if security.run_as_non_root and not name.isdigit():
        message = f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        raise InvalidConfig(message, reason="CreateContainerConfigError")
    if security.run_as_group is not None:
        name, group = name or "0", str(security.run_as_group)
    return f"{name}:{group}" if group else name


def mount(wanted: Mount) -> dict[str, Any]:
    options = {"Propagation": _PROPAGATION[wanted.propagation]}
    source, target = wanted.host_path, wanted.container_path
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": wanted.readonly, "BindOptions": options}


def limits(resources: Resources) -> dict[str, int]:
    """Without swap: a memory limit is one of memory and swap together."""
    return {
        "CpuShares": resources.cpu_shares,
        "CpuQuota": resources.cpu_quota,
        "CpuPeriod": resources.cpu_period if resources.cpu_quota else 0,
        "Memory": resources.memory_limit,
        "MemorySwap": resources.memory_limit,
    }


def update(resources: Resources) -> dict[str, int]:
    """As the SDK names them. For the daemon 0 is "as it was" and -1 no limit; of memory it does not know the latter, and a pod that has a
    limit keeps one."""
    return {
        "cpu_shares": resources.cpu_shares,
        "cpu_quota": resources.cpu_quota or -1,
        "cpu_period": resources.cpu_period if resources.cpu_quota else 0,
        "mem_limit": resources.memory_limit,
        "memswap_limit": resources.memory_limit,
    }
