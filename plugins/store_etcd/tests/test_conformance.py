"""etcd passes the suite for stores that several servers share."""

import pytest

from bareboat.testing.cuttable import Cuttable
from bareboat.testing.shared_store_suite import SharedStoreSuite
from bareboat_store_etcd.options import EtcdOptions
from bareboat_store_etcd.plugin import EtcdStore


class TestEtcd(SharedStoreSuite):
    @pytest.fixture(autouse=True)
    async def _way(self, etcd):
        self.way = await Cuttable(etcd.port).open()
        yield
        await self.way.close()

    async def make(self, path):
        options = EtcdOptions(endpoints=[f"http://127.0.0.1:{self.way.port}"], prefix=str(path), timeout=3.0)
        store = EtcdStore(options, None)
        await store.open()
        return store

    async def cut(self, path):
        self.way.cut()
