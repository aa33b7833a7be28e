"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.csi import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_csi_local.driver import NAME, LocalDriver
from bareboat_csi_local.options import LocalStorageOptions


class LocalStorage(LocalDriver):
    info = PluginInfo(name="local", summary="Volumes on the node's own disk: directories, file systems, devices", contract=GROUP)
    Options = LocalStorageOptions
    driver_name = NAME
