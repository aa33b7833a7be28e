"""Options in the cluster file."""

from __future__ import annotations

from typing import Literal

import msgspec


class CsiSocketOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``socket`` of the driver; ``driver`` its name ("" = ask it at start); ``scope`` see contracts.csi; ``timeout`` in seconds."""

    socket: str
    driver: str = ""
    scope: Literal["cluster", "node"] = "cluster"
    timeout: float = 120.0
