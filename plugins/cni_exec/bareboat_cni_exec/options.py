"""Options in the cluster file."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


class ExecOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``config`` is a network configuration or list; without one, the first of ``confDir`` by name is read. ``binDir`` may name several
    directories, with colons between them. ``timeout`` in seconds is for one call of one binary."""

    config: dict[str, Any] = {}
    confDir: str = "/etc/cni/net.d"
    binDir: str = "/opt/cni/bin:/usr/lib/cni"
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 60.0
