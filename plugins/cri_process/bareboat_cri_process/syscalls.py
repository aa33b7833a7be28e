"""Facts of the Linux system call interface: numbers by machine, and the constants that programs use. No code runs here."""

from __future__ import annotations

import platform

_X86_64 = {
    "write": 1,
    "close": 3,
    "ioctl": 16,
    "socket": 41,
    "execve": 59,
    "chdir": 80,
    "umask": 95,
    "setgroups": 116,
    "setresuid": 117,
    "setresgid": 119,
    "capset": 126,
    "pivot_root": 155,
    "prctl": 157,
    "mount": 165,
    "umount2": 166,
    "sethostname": 170,
    "openat": 257,
    "mkdirat": 258,
    "fchownat": 260,
    "fchown": 93,
    "unlinkat": 263,
    "symlinkat": 266,
    "unshare": 272,
    "setns": 308,
    "seccomp": 317,
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
}
_AARCH64 = {
    "write": 64,
    "close": 57,
    "ioctl": 29,
    "socket": 198,
    "execve": 221,
    "chdir": 49,
    "umask": 166,
    "setgroups": 159,
    "setresuid": 147,
    "setresgid": 149,
    "capset": 91,
    "pivot_root": 41,
    "prctl": 167,
    "mount": 40,
    "umount2": 39,
    "sethostname": 161,
    "openat": 56,
    "mkdirat": 34,
    "fchownat": 54,
    "fchown": 55,
    "unlinkat": 35,
    "symlinkat": 36,
    "unshare": 97,
    "setns": 268,
    "seccomp": 277,
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
}
NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}

#: What Linux calls this machine; the monitor exists for these only.
MACHINE = platform.machine()

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000

AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
O_WRONLY, O_CREAT, O_CLOEXEC = 0o1, 0o100, 0o2000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC = 1, 2, 4, 8, 0x1000, 0x4000
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NODEV = 1, 4
MNT_DETACH = 2
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_SYMLINKS = 0x4, 0x10

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
SECCOMP_SET_MODE_FILTER = 1
CAPABILITY_VERSION_3 = 0x20080522
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

#: By number: what a container's root may keep. ``capabilities(7)``.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT"),
    *("SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
    *("PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
