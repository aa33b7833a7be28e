"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.csi import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_csi_grpc.driver import CsiClient
from bareboat_csi_grpc.options import CsiSocketOptions


class CsiSocket(CsiClient):
    info = PluginInfo(name="csi-grpc", summary="Any CSI driver behind its socket", contract=GROUP)
    Options = CsiSocketOptions
