"""Who a container's process is and what it may do: the last steps before it runs.

What comes in: the contract's Security and the image's user. What goes out: an Identity, the capability set, and the steps that drop
everything else. The order is fixed here because it is what makes it safe: bounding set, no_new_privs, filter, groups and user,
capabilities. Pure functions, apart from reading an image's /etc/passwd and /etc/group.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bareboat.contracts.cri import Security
from bareboat.contracts.errors import InvalidConfig
from bareboat_cri_process import seccomp
from bareboat_cri_process.lookup import find
from bareboat_cri_process.program import ANY, Filter, Steps
from bareboat_cri_process.syscalls import (
    CAPABILITIES,
    CAPABILITY_VERSION_3,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    SECCOMP_SET_MODE_FILTER,
)

#: What a container's root keeps unless it asks for more or less: the set that users of other runtimes know.
DEFAULT_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_EINVAL = 22


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Resolved against the image: numbers only, and the home directory."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def identity(security: Security, image_user: str, roots: Sequence[Path]) -> Identity:
    """Who runs the container; ``roots`` are the image's file system, for its user and group names."""
    user, _, group = image_user.partition(":")
    if security.run_as_user is not None:
        user, group = str(security.run_as_user), ""
    entry = _passwd(roots, user or "0")
    if entry is None and not user.isdigit():
        raise InvalidConfig(f"image user {user!r} is not in the image's /etc/passwd", reason="CreateContainerConfigError")
    uid, gid, home = entry or (int(user), 0, "/")
    if group:
        gid = _group(roots, group)
    if security.run_as_group is not None:
        gid = security.run_as_group
    if security.run_as_non_root and uid == 0:
        raise InvalidConfig("container has runAsNonRoot and image will run as root", reason="CreateContainerConfigError")
    named = _memberships(roots, user) if entry and not security.strict_groups else set()
    return Identity(uid=uid, gid=gid, groups=tuple(sorted({gid, *security.supplemental_groups, *named})), home=home or "/")


def capabilities(security: Security) -> frozenset[str]:
    """The set a container's root has: the default, plus what is added, minus what is dropped (ALL is everything)."""
    every = frozenset(CAPABILITIES)
    if security.privileged:
        return every
    added = {c.removeprefix("CAP_").upper() for c in security.add_capabilities}
    dropped = {c.removeprefix("CAP_").upper() for c in security.drop_capabilities}
    unknown = (added | dropped) - every - {"ALL"}
    if unknown:
        raise InvalidConfig(f"unknown capability {', '.join(sorted(unknown))}", reason="CreateContainerError")
    kept = every if "ALL" in added else DEFAULT_CAPABILITIES
    kept = frozenset() if "ALL" in dropped else kept - dropped
    return kept | (added - {"ALL"})


def filter_code(security: Security, kept: frozenset[str], *, default: bool) -> bytes:
    """The system call filter, empty for none. ``default``: whether a container that names no profile gets the standard one."""
    if security.privileged or security.seccomp == "Unconfined" or (not security.seccomp and not default):
        return b""
    if security.seccomp in ("", "RuntimeDefault"):
        return seccomp.default_filter(kept)
    kind, _, path = security.seccomp.partition("/")
    if kind != "Localhost" or not path:
        raise InvalidConfig(f"seccomp profile {security.seccomp!r} is none of RuntimeDefault, Unconfined, Localhost/<path>")
    return seccomp.profile_filter(Path(path) if path.startswith("/") else Path("/") / path)


def drop_privileges(steps: Steps, security: Security, who: Identity, code: bytes, *, held: frozenset[str]) -> None:
    """From here on the process is the container's user. ``held`` are the capabilities that this host lets us give at all."""
    kept = capabilities(security) & held
    for number, name in enumerate(CAPABILITIES):
        if name not in kept:
            steps.call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0, label=f"drop capability {name}", ok=(_EINVAL,))
    for stream in (1, 2):  # so that a user without privileges can open /dev/stdout
        steps.call("fchown", stream, who.uid, -1, label="give the streams to the user", ok=(ANY,))
    if not security.allow_privilege_escalation and not security.privileged:
        steps.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, label="set no_new_privs")
    if code:
        steps.call("seccomp", SECCOMP_SET_MODE_FILTER, 0, Filter(code), label="load the system call filter")
    packed = struct.pack(f"<{len(who.groups)}I", *who.groups)
    steps.call("setgroups", len(who.groups), packed, label="set supplemental groups")
    steps.call("setresgid", who.gid, who.gid, who.gid, label=f"become group {who.gid}")
    steps.call("setresuid", who.uid, who.uid, who.uid, label=f"become user {who.uid}")
    if who.uid == 0:
        bits = sum(1 << number for number, name in enumerate(CAPABILITIES) if name in kept)
        low, high = bits & 0xFFFFFFFF, bits >> 32
        header = struct.pack("<II", CAPABILITY_VERSION_3, 0)
        steps.call("capset", header, struct.pack("<6I", low, low, 0, high, high, 0), label="set capabilities")
    steps.call("prctl", PR_SET_PDEATHSIG, 9, 0, 0, 0, label="end with the monitor")


def held_capabilities() -> frozenset[str]:
    """What this process may give away: its own bounding set."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(CAPABILITIES) if bits >> number & 1)
    return frozenset()


def _rows(roots: Sequence[Path], name: str) -> list[list[str]]:
    path = find(roots, name)
    if path is None or not path.is_file() or path.is_symlink():  # an image could point it anywhere on the host
        return []
    try:
        return [line.split(":") for line in path.read_text(errors="replace").splitlines() if line.count(":") >= 3]
    except OSError:
        return []


def _passwd(roots: Sequence[Path], user: str) -> tuple[int, int, str] | None:
    for row in _rows(roots, "etc/passwd"):
        if len(row) >= 6 and user in (row[0], row[2]) and row[2].isdigit() and row[3].isdigit():
            return int(row[2]), int(row[3]), row[5]
    return (0, 0, "/root") if user in ("0", "root") else None


def _group(roots: Sequence[Path], group: str) -> int:
    for row in _rows(roots, "etc/group"):
        if group == row[0] and row[2].isdigit():
            return int(row[2])
    if group.isdigit():
        return int(group)
    raise InvalidConfig(f"image group {group!r} is not in the image's /etc/group", reason="CreateContainerConfigError")


def _memberships(roots: Sequence[Path], user: str) -> set[int]:
    names = {row[0] for row in _rows(roots, "etc/passwd") if user in (row[0], row[2])}
    return {int(row[2]) for row in _rows(roots, "etc/group") if row[2].isdigit() and names & set(row[3].split(","))}
