"""A container as the OCI runtime specification says it: the ``config.json`` for crun. Pure.

What comes in: the same records that ``container.py`` makes steps of. What goes out: a document with the same meaning: the same namespaces,
devices, volumes, privileges and system call filter. The root file system is mounted already when it is read.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from bareboat.contracts.cri import Mount, SandboxConfig
from bareboat_cri_process.container import Node, by_depth
from bareboat_cri_process.devices import NODES
from bareboat_cri_process.lookup import resolved
from bareboat_cri_process.privileges import capabilities, filter_code
from bareboat_cri_process.records import ContainerRecord
from bareboat_cri_process.rootfs import MASKED, READONLY

_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}
#: A hook that does not read what crun tells it may be gone before crun has said it, which crun takes for a failure.
_REMOUNT = 'cat > /dev/null; exec mount -o "$1" "$2"'
_SECURE = ["nosuid", "nodev", "noexec"]


def runtime_spec(record: ContainerRecord, sandbox: SandboxConfig, directory: Path, pause: int, shm: str, node: Node) -> dict[str, Any]:
    """``directory`` has the root file system in ``fs``; ``pause`` is the pid of the process that holds the pod's namespaces."""
    security = record.config.security
    code = filter_code(security, capabilities(security), default=node.seccomp_default)
    masked = not security.privileged and security.proc_mount != "Unmasked"
    return {
        "ociVersion": "1.0.0",
        "root": {"path": str(directory / "fs")},
        "process": _process(record, node),
        "mounts": [*_kernel_mounts(record, shm, node), *(_volume(m, record) for m in by_depth(record.config.mounts))],
        "hooks": _hooks(record, directory),
        "annotations": {"run.oci.seccomp_bpf_data": base64.b64encode(code).decode()} if code else {},
        "linux": {
            "namespaces": _namespaces(sandbox, pause),
            "maskedPaths": [p for p in MASKED if os.path.exists(p)] if masked else [],
            "readonlyPaths": [p for p in READONLY if os.path.exists(p)] if not security.privileged else [],
            "rootfsPropagation": "rslave",
        }
        | ({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}} if code else {}),
    }


def _hooks(record: ContainerRecord, directory: Path) -> dict[str, Any]:
    """crun mounts the root over itself and forgets that its devices are not to be opened: it is told again, before anything can run."""
    security = record.config.security
    options = ([] if security.privileged else ["nodev"]) + (["ro"] if security.readonly_rootfs else [])
    command = ["sh", "-c", _REMOUNT, "remount", ",".join(["remount", "bind", *options]), str(directory / "fs")]
    return {"createContainer": [{"path": "/bin/sh", "args": command}]} if options else {}


def _process(record: ContainerRecord, node: Node) -> dict[str, Any]:
    security, who = record.config.security, record.who
    kept = sorted(f"CAP_{name}" for name in capabilities(security) & node.held)
    return {
        "terminal": False,
        "user": {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups), "umask": 0o022},
        "args": list(record.argv),
        "env": [f"{name}={value}" for name, value in record.env],
        "cwd": record.cwd,
        "capabilities": {"bounding": kept, "effective": kept, "permitted": kept},
        "noNewPrivileges": not security.allow_privilege_escalation and not security.privileged,
    }


def _namespaces(sandbox: SandboxConfig, pause: int) -> list[dict[str, str]]:
    """The pod's own by the path of its pause process; those of the machine are not mentioned."""
    joined = [] if sandbox.host_network else [("network", "net"), ("uts", "uts")]
    joined += [] if sandbox.host_ipc else [("ipc", "ipc")]
    if sandbox.share_process_namespace and not sandbox.host_pid:
        joined.append(("pid", "pid"))
    found = [{"type": "mount"}, {"type": "cgroup"}, *({"type": kind, "path": f"/proc/{pause}/ns/{name}"} for kind, name in joined)]
    return found if sandbox.host_pid or sandbox.share_process_namespace else [*found, {"type": "pid"}]


def _kernel_mounts(record: ContainerRecord, shm: str, node: Node) -> list[dict[str, Any]]:
    privileged = record.config.security.privileged
    readonly = [] if privileged else ["ro"]
    found = [_mount("/proc", "proc", "proc", _SECURE), _mount("/sys", "sysfs", "sysfs", [*_SECURE, *readonly])]
    if node.unified or node.hierarchies:
        found.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", [*_SECURE, "relatime", *readonly]))
    if privileged:
        found.append(_mount("/dev", "/dev", "bind", ["rbind"]))
    else:  # what a container makes in the directory cannot be opened; the devices are mounts of their own
        found.append(_mount("/dev", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=755", "size=64k"]))
        found += [_mount(f"/dev/{name}", f"/dev/{name}", "bind", ["bind"]) for name in NODES if os.path.exists(f"/dev/{name}")]
        found += [_mount(inside, outside, "bind", ["bind"]) for outside, inside, _ in record.config.devices]
        found.append(_mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]))
        found.append(_mount("/dev/mqueue", "mqueue", "mqueue", _SECURE))
    return [*found, _mount("/dev/shm", shm, "bind", ["rbind", "nodev"])] if shm else found  # noqa: S108  in the container


def _volume(mount: Mount, record: ContainerRecord) -> dict[str, Any]:
    options = ["rbind", _PROPAGATION.get(mount.propagation, "rprivate")]
    if mount.readonly:
        options.append("rro" if os.path.isdir(mount.host_path) else "ro")  # crun takes what is to be read-only in depth for a directory
    options += [] if record.config.security.privileged else ["nodev"]
    target = resolved([Path(root) for root in record.roots], mount.container_path)  # crun does not follow links to make it
    return _mount(target, mount.host_path, "bind", options)


def _mount(destination: str, source: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "source": source, "type": kind, "options": options}
