"""System call filters as BPF code, made without any library.

What comes in: a container's capabilities, or a profile file in the OCI form. What goes out: the bytes of a BPF program. The default
filter refuses what reaches past a container (mounting, namespaces, modules, keys, clocks, raw kernel interfaces) unless a capability
that was granted needs it, calls of a foreign architecture, and calls newer than this list. A profile of one's own needs pyseccomp.
"""

from __future__ import annotations

import json
import platform
import struct
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from bareboat.contracts.errors import InvalidConfig, Unsupported

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NAMESPACE_FLAGS = 0x7E020000
_NEWEST = 470
_VSOCK = 40
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

#: name -> number on x86_64, number on aarch64 (-1: not there)
_REFUSED: dict[str, tuple[int, int]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, -1),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "get_kernel_syms": (177, -1),
    "query_module": (178, -1),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "request_key": (249, 218),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "_sysctl": (156, -1),
    "sysfs": (139, -1),
    "syslog": (103, 116),
    "unshare": (272, 97),
    "uselib": (134, -1),
    "userfaultfd": (323, 282),
    "ustat": (136, -1),
    "vhangup": (153, 58),
    "mbind": (237, 235),
    "get_mempolicy": (239, 236),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "fanotify_init": (300, 262),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_MOUNTING = ("mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "pivot_root")
_GRANTED: dict[str, tuple[str, ...]] = {
    "SYS_ADMIN": (
        *(*_MOUNTING, "setns", "unshare", "sethostname", "setdomainname", "quotactl", "quotactl_fd", "bpf", "perf_event_open"),
        *("lookup_dcookie", "fanotify_init", "syslog"),
    ),
    "SYS_MODULE": ("init_module", "finit_module", "delete_module"),
    "SYS_TIME": ("settimeofday", "clock_settime", "clock_adjtime"),
    "SYS_BOOT": ("reboot",),
    "SYSLOG": ("syslog",),
    "SYS_PACCT": ("acct",),
    "SYS_RAWIO": ("iopl", "ioperm"),
    "SYS_NICE": ("mbind", "get_mempolicy", "set_mempolicy", "migrate_pages", "move_pages"),
    "SYS_TTY_CONFIG": ("vhangup",),
    "BPF": ("bpf",),
    "PERFMON": ("perf_event_open",),
    "DAC_READ_SEARCH": ("open_by_handle_at",),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), 435, (41, 198)


def _instruction(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, k)


def _refuse(error: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | error)


def _argument_rule(number: int, test: int, value: int) -> bytes:
    """Refuse ``number`` when its first argument meets the test; the call's number is loaded before and after."""
    return (
        _instruction(_EQUAL, number, 0, 4)
        + _instruction(_LOAD, 16)
        + _instruction(test, value, 0, 1)
        + _refuse(_EPERM)
        + _instruction(_LOAD, 0)
    )


@lru_cache(maxsize=32)
def default_filter(capabilities: frozenset[str], machine: str = platform.machine()) -> bytes:
    """The filter of RuntimeDefault for a container with these capabilities."""
    column = 0 if machine == "x86_64" else 1
    granted = {name for capability in capabilities for name in _GRANTED.get(capability, ())}
    code = _instruction(_LOAD, 4) + _instruction(_EQUAL, _ARCHITECTURE[machine], 1, 0) + _refuse(_ENOSYS)
    code += _instruction(_LOAD, 0) + _instruction(_GREATER, _NEWEST, 0, 1) + _refuse(_ENOSYS)
    for name, numbers in _REFUSED.items():
        if name not in granted and numbers[column] >= 0:
            code += _instruction(_EQUAL, numbers[column], 0, 1) + _refuse(_EPERM)
    if "SYS_ADMIN" not in capabilities:
        # clone3 hides its flags in memory: "not there" makes every C library fall back to clone, whose flags can be seen.
        code += _instruction(_EQUAL, _CLONE3, 0, 1) + _refuse(_ENOSYS)
        code += _argument_rule(_CLONE[column], _ANY_BIT, _NAMESPACE_FLAGS)
    code += _argument_rule(_SOCKET[column], _EQUAL, _VSOCK)
    return code + _instruction(_RETURN, _ALLOW)


def profile_filter(path: Path) -> bytes:
    """The filter that a profile file in the OCI form (names, action, args) describes."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise Unsupported(f"seccomp profile {path} needs the package pyseccomp and libseccomp on the node: {error}") from error
    try:
        profile = json.loads(path.read_bytes())
        built = pyseccomp.SyscallFilter(_action(pyseccomp, profile["defaultAction"], profile.get("defaultErrnoRet")))
        for rule in profile.get("syscalls", ()):
            _add_rule(pyseccomp, built, rule)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidConfig(f"seccomp profile {path} cannot be used: {error}", reason="CreateContainerError") from error
    with tempfile.TemporaryFile() as file:
        built.export_bpf(file)
        file.seek(0)
        return file.read()


def _action(library: Any, name: str, code: int | None) -> Any:
    if name == "SCMP_ACT_ERRNO":
        return library.ERRNO(_EPERM if code is None else code)
    known = {"SCMP_ACT_ALLOW": library.ALLOW, "SCMP_ACT_KILL": library.KILL, "SCMP_ACT_LOG": library.LOG}
    known["SCMP_ACT_KILL_PROCESS"] = library.KILL_PROCESS
    if name not in known:
        raise ValueError(f"unknown action {name!r}; known: SCMP_ACT_ERRNO, {', '.join(sorted(known))}")
    return known[name]


def _add_rule(library: Any, built: Any, rule: dict[str, Any]) -> None:
    comparisons = {"SCMP_CMP_EQ": library.EQ, "SCMP_CMP_NE": library.NE, "SCMP_CMP_LT": library.LT, "SCMP_CMP_LE": library.LE}
    comparisons |= {"SCMP_CMP_GT": library.GT, "SCMP_CMP_GE": library.GE, "SCMP_CMP_MASKED_EQ": library.MASKED_EQ}
    arguments = [library.Arg(a["index"], comparisons[a["op"]], a["value"], a.get("valueTwo", 0)) for a in rule.get("args") or ()]
    for name in rule["names"]:
        try:
            built.add_rule(_action(library, rule["action"], rule.get("errnoRet")), name, *arguments)
        except (OSError, RuntimeError, ValueError):
            continue  # a call that this machine does not have needs no rule
