"""The bridge's verbs with another way to the peers: through one VXLAN interface instead of the nodes' own routes."""

from __future__ import annotations

from bareboat.contracts.driver import Health, Host
from bareboat_cni_bridge.driver import BridgeDriver
from bareboat_cni_vxlan import overlay
from bareboat_cni_vxlan.options import VxlanOptions


class VxlanDriver(BridgeDriver):
    """See contracts.cni.NetworkDriver."""

    def __init__(self, options: VxlanOptions, host: Host) -> None:
        super().__init__(options, host)
        self._vxlan = options
        self._tunnel = f"bx{host.instance}"

    async def status(self) -> Health:
        health = await super().status()
        if health.ready and not await overlay.is_up(self._tunnel):
            return Health(ready=False, reason="TunnelGone", message=f"interface {self._tunnel} is gone")
        return health

    async def _prepare(self) -> None:
        own = overlay.Endpoint.of(str(self._book.network))
        self._mtu = await overlay.ensure_tunnel(self._tunnel, own, self._vxlan.vni, self._vxlan.port, self._mtu)

    async def _connect(self, peers: dict[str, str]) -> None:
        await overlay.ensure_peers(self._tunnel, {overlay.Endpoint.of(cidr): address for cidr, address in peers.items()})

    async def _disconnect(self) -> None:
        await overlay.remove(self._tunnel)
