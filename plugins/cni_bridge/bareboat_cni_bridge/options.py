"""Options of the bridge network."""

from __future__ import annotations

from typing import Annotated

import msgspec


class BridgeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``mtu`` in bytes, 0 = the kernel's default; ``masquerade`` hides pod addresses outside the cluster."""

    mtu: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    masquerade: bool = True
