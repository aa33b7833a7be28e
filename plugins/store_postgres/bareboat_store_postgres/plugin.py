"""The store in PostgreSQL: several servers over one database. Importing this does not import the database client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bareboat.contracts.driver import Host, PluginInfo
from bareboat.contracts.opened_store import OpenedStore
from bareboat.contracts.store import GROUP
from bareboat_store_postgres.options import PostgresOptions

if TYPE_CHECKING:
    from bareboat_store_postgres.driver import Database


class PostgresStore(OpenedStore["Database"]):
    """See contracts.opened_store.OpenedStore."""

    info = PluginInfo(name="postgres", summary="PostgreSQL, for several servers over one database", contract=GROUP)
    Options = PostgresOptions
    max_bytes = 16 * 1024 * 1024

    def __init__(self, options: PostgresOptions, host: Host) -> None:
        super().__init__(options, host)
        self._options = options

    async def connect(self) -> Database:
        from bareboat_store_postgres.driver import Database

        return await Database.opened(self._options)
