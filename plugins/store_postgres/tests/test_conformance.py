"""PostgreSQL passes the suite for stores that several servers share."""

import asyncio
import hashlib

import pytest

from bareboat.testing.shared_store_suite import SharedStoreSuite
from bareboat_store_postgres.options import PostgresOptions
from bareboat_store_postgres.plugin import PostgresStore


def schema(path):
    return "t" + hashlib.sha256(str(path).encode()).hexdigest()[:16]


class TestPostgres(SharedStoreSuite):
    @pytest.fixture(autouse=True)
    def _server(self, postgres):
        self.postgres = postgres

    async def make(self, path):
        store = PostgresStore(PostgresOptions(url=self.postgres.url, schema=schema(path), timeout=3.0), None)
        await store.open()
        return store

    async def cut(self, path):
        await asyncio.to_thread(self.postgres.cut)
