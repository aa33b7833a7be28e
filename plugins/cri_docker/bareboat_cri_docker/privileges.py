"""What a container may do → the part of the API body that says so.

What comes in: the pod's security settings, and which capabilities this machine leaves to root. What goes out: fields of a HostConfig.
By "privileged" and "ALL" the daemon means every capability that the kernel knows, and it fails to start a container where root itself
is denied one: there, what root has is spelled out, but for the latest, whose names older daemons do not know.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bareboat.contracts.cri import Security
from bareboat.contracts.errors import InvalidConfig

#: In the kernel's order: the number of each is its place.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT"),
    *("SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
    *("PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
_LATEST = frozenset(("PERFMON", "BPF", "CHECKPOINT_RESTORE"))
_OF_EVERY_CONTAINER = {"console", "full", "null", "ptmx", "random", "tty", "urandom", "zero"}
_NOT_DEVICES = {"pts", "shm", "fd", "mqueue"}


def held_capabilities(status: Path = Path("/proc/self/status")) -> frozenset[str]:
    """What root may have on this machine."""
    bounding = next(line for line in status.read_text().splitlines() if line.startswith("CapBnd:"))
    mask = int(bounding.split()[1], 16)
    return frozenset(name for number, name in enumerate(CAPABILITIES) if mask >> number & 1)


def host_part(security: Security, held: frozenset[str], *, seccomp_default: bool) -> dict[str, Any]:
    """Fields of the HostConfig."""
    everything = held >= frozenset(CAPABILITIES)
    if security.privileged and not everything:
        return _all_there_is(held)
    added = [c.removeprefix("CAP_").upper() for c in security.add_capabilities]
    if "ALL" in added and not everything:
        added = sorted(held - _LATEST)
    found: dict[str, Any] = {
        "Privileged": security.privileged,
        "CapAdd": added,
        "CapDrop": [c.removeprefix("CAP_").upper() for c in security.drop_capabilities],
        "SecurityOpt": _options(security, seccomp_default=seccomp_default),
    }
    return found | ({"MaskedPaths": [], "ReadonlyPaths": []} if security.proc_mount == "Unmasked" else {})


def _all_there_is(held: frozenset[str]) -> dict[str, Any]:
    """As privileged as it gets where the daemon's own word for it fails."""
    devices = [{"PathOnHost": d, "PathInContainer": d, "CgroupPermissions": "rwm"} for d in machine_devices(Path("/dev"))]
    return {
        "CapAdd": sorted(held - _LATEST),
        "SecurityOpt": ["seccomp=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "DeviceCgroupRules": ["a *:* rwm"],
        "Devices": devices,
    }


def machine_devices(directory: Path) -> Iterator[str]:
    """Device nodes below ``directory`` that a container does not have anyway."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and entry.name not in _NOT_DEVICES:
                yield from machine_devices(Path(entry.path))
            elif (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and entry.name not in _OF_EVERY_CONTAINER:
                yield entry.path


def _options(security: Security, *, seccomp_default: bool) -> list[str]:
    found = [] if security.allow_privilege_escalation or security.privileged else ["no-new-privileges"]
    if security.seccomp == "Unconfined" or (not security.seccomp and not seccomp_default):
        found.append("seccomp=unconfined")
    elif security.seccomp.startswith("Localhost/"):
        path = Path(security.seccomp.removeprefix("Localhost/"))
        try:
            found.append(f"seccomp={path.read_text()}")
        except OSError as error:
            raise InvalidConfig(f"seccomp profile {path} cannot be read: {error.strerror}", reason="CreateContainerError") from error
    return found


def oom_score(wanted: int, held: frozenset[str]) -> int:
    """Within what the kernel allows: without SYS_RESOURCE no score falls below where it was."""
    return wanted if "SYS_RESOURCE" in held else max(wanted, 0)
