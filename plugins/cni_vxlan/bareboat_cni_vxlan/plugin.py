"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cni import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cni_vxlan.driver import VxlanDriver
from bareboat_cni_vxlan.options import VxlanOptions


class VxlanNetwork(VxlanDriver):
    info = PluginInfo(name="vxlan", summary="a bridge per node, VXLAN between nodes", contract=GROUP)
    Options = VxlanOptions
