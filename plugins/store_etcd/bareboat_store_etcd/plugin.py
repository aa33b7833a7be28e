"""The store in etcd: several servers over one etcd cluster. Importing this does not import the HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bareboat.contracts.driver import Host, PluginInfo
from bareboat.contracts.opened_store import OpenedStore
from bareboat.contracts.store import GROUP
from bareboat_store_etcd.options import EtcdOptions

if TYPE_CHECKING:
    from bareboat_store_etcd.driver import Database


class EtcdStore(OpenedStore["Database"]):
    """See contracts.opened_store.OpenedStore."""

    info = PluginInfo(name="etcd", summary="etcd, for several servers over one etcd cluster", contract=GROUP)
    Options = EtcdOptions
    max_rows = 120  # etcd takes 128 operations and 1.5 MiB in one request
    max_bytes = 768 * 1024

    def __init__(self, options: EtcdOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options

    async def connect(self) -> Database:
        from bareboat_store_etcd.driver import Database

        return await Database.opened(self._options)
