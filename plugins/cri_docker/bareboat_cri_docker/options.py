"""The driver's options, as the cluster file's ``{use: docker, options: …}`` gives them."""

from __future__ import annotations

import msgspec


class DockerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field has a default that works with a daemon as packaged; see the README for the table."""

    #: The daemon's socket on this machine.
    socket: str = "/var/run/docker.sock"
    #: Seconds that one call of the daemon may take. Pulls are not limited by it.
    timeout: float = 120.0
    #: Seconds without any progress after which a pull is given up.
    pull_patience: float = 120.0
    #: Processes per container when the pod sets no limit; 0 is none.
    pids_limit: int = 2048
    #: Whether a container that names no seccomp profile gets the daemon's.
    seccomp_default: bool = True
    #: Size at which the daemon starts a new file of a container's output; it keeps two.
    log_size: str = "64m"
