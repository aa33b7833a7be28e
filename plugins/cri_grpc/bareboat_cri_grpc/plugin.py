"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cri import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cri_grpc.driver import CriClient
from bareboat_cri_grpc.options import CriSocketOptions


class CriSocket(CriClient):
    info = PluginInfo(name="grpc", summary="any CRI runtime behind its socket", contract=GROUP)
    Options = CriSocketOptions
