"""What a cluster lets its pods do, for all kinds with a pod template. The assembly sets it once; upstream's server has a flag for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Capabilities:
    """``allow_privileged``: containers may ask for privileged mode (upstream: --allow-privileged, false unless set).

    ``network_policies``: nodes have a driver that enforces them.
    """

    allow_privileged: bool = False
    network_policies: bool = False


CURRENT = Capabilities()
