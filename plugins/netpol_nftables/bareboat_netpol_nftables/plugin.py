"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.driver import NoOptions, PluginInfo
from bareboat.contracts.netpolicy import GROUP
from bareboat_netpol_nftables.driver import NftablesDriver


class NftablesPolicies(NftablesDriver):
    info = PluginInfo(name="nftables", summary="NetworkPolicies through one nftables table", contract=GROUP)
    Options = NoOptions
