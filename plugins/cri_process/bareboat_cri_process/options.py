"""The driver's options, as the cluster file's ``runtime: {use: process, options: …}`` gives them."""

from __future__ import annotations

from typing import Literal

import msgspec


class RegistryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one registry is reached. Loopback addresses need none of it: they may speak plain HTTP."""

    #: URLs that are asked first, in this order; they get no credentials.
    mirrors: tuple[str, ...] = ()
    #: Plain HTTP, or TLS that nobody vouches for.
    insecure: bool = False
    #: A file of certificate authorities (PEM) to trust besides the machine's.
    ca: str = ""
    #: Who to be where a pod brings no pull secret.
    username: str = ""
    password: str = ""


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
    #: Who makes containers: "own" (this driver's monitor alone), "crun", or "auto": crun where it is installed.
    runtime: Literal["own", "crun", "auto"] = "own"
    #: Registries that are not reached in the ordinary way, by the host (and port) in the image's name.
    registries: dict[str, RegistryOptions] = {}
    #: Layers of one image that are fetched at once.
    parallel_layers: int = 3
    #: How often a request to a registry is tried.
    pull_attempts: int = 5
