"""The driver's options, as the cluster file's ``runtime: {use: process, options: …}`` gives them."""

from __future__ import annotations

import msgspec


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field has a default that works; see the README for the table."""

    #: Image names that mean "this machine's own file system"; any tag is accepted behind them.
    host_images: tuple[str, ...] = ("host",)
    #: Top-level directories of the machine that such a container sees. Everything else is empty and its own.
    host_paths: tuple[str, ...] = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt")
    #: What is hidden within them, as if it were not there.
    host_hidden: tuple[str, ...] = (
        *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/ssl/private", "/etc/sudoers", "/etc/sudoers.d"),
        *("/etc/bareboat", "/etc/kubernetes", "/etc/krb5.keytab", "/etc/letsencrypt", "/etc/wireguard"),
    )
    #: Processes per container when the pod sets no limit; 0 is none.
    pids_limit: int = 2048
    #: Whether a container that names no seccomp profile gets the standard filter.
    seccomp_default: bool = True
    #: Directory for writable layers and images; "" is the driver's state directory.
    root_dir: str = ""
