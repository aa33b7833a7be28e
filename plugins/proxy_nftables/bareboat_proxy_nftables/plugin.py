"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.driver import NoOptions, PluginInfo
from bareboat.contracts.proxy import GROUP
from bareboat_proxy_nftables.driver import NftablesDriver


class NftablesProxy(NftablesDriver):
    info = PluginInfo(name="nftables", summary="Service addresses through one nftables table", contract=GROUP)
    Options = NoOptions
