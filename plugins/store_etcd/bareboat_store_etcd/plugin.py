"""The store in etcd: several servers over one etcd cluster. Importing this does not import the HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from bareboat.contracts.driver import Host, PluginInfo
from bareboat.contracts.opened_store import OpenedStore
from bareboat.contracts.store import GROUP, Maintained, Row
from bareboat_store_etcd.options import EtcdOptions

if TYPE_CHECKING:
    from bareboat_store_etcd.driver import Database


class EtcdStore(OpenedStore["Database"], Maintained):
    """See contracts.store.SharedStore and Maintained."""

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

    async def check(self) -> list[str]:
        return await self.database.check()

    async def shrink(self, limit: int) -> int:
        """Nothing: only ``etcdctl defrag`` gives space back, and it holds up everything that the member does."""
        del limit
        return 0

    async def restore(self, compacted: int, rows: AsyncIterator[Sequence[Row]]) -> None:
        await self.database.restore(compacted, rows)
