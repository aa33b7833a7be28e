"""The host's network for a node whose network is not the daemon's: nodes that share a machine have a network namespace each.

The daemon gives a container its own network as the host's and no other. Where that is the wrong one the sandbox's process enters the
node's itself (``pause``), and containers join it there as they join any sandbox.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

from bareboat_cri_docker.pause import NETNS

_NAMED = Path("/run/netns")


def foreign(daemon: str) -> str:
    """A path of this process's network namespace if the daemon at that socket lives in another; "" if not, or if it cannot be told."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(daemon)
        pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        own, theirs = os.stat("/proc/self/ns/net"), os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
    if (own.st_dev, own.st_ino) == (theirs.st_dev, theirs.st_ino):
        return ""
    for path in _NAMED.iterdir() if _NAMED.is_dir() else ():
        if os.path.samestat(path.stat(), own):
            return str(path)
    return f"/proc/{os.getpid()}/ns/net"


def entered(netns: str) -> dict[str, Any]:
    """Of a HostConfig: what the sandbox's process needs to enter ``netns``, and no more."""
    shown = {"Type": "bind", "Source": netns, "Target": NETNS, "ReadOnly": True, "BindOptions": {"Propagation": "rprivate"}}
    return {"NetworkMode": "none", "Mounts": [shown], "CapDrop": ["ALL"], "CapAdd": ["SYS_ADMIN"]}
