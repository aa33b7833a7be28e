"""Options of the overlay network."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bareboat_cni_bridge.options import BridgeOptions


class VxlanOptions(BridgeOptions, frozen=True, forbid_unknown_fields=True):
    """``vni`` and UDP ``port`` are the same on all nodes; ``mtu`` 0 = the uplink's less the envelope."""

    vni: Annotated[int, msgspec.Meta(ge=1, le=16777215)] = 4096
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8472
