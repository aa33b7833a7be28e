"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cni import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cni_bridge.driver import BridgeDriver
from bareboat_cni_bridge.options import BridgeOptions


class BridgeNetwork(BridgeDriver):
    info = PluginInfo(name="bridge", summary="a bridge per node, veth pairs, routes between nodes", contract=GROUP)
    Options = BridgeOptions
