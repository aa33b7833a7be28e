"""Both drivers pass the suite; SQLite also survives what files suffer."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from bareboat.contracts.errors import InvalidConfig, Unavailable
from bareboat.store.memory import MemoryStore
from bareboat.store.sqlite import SqliteOptions, SqliteStore
from bareboat.testing.store_suite import StoreSuite, row


class TestMemory(StoreSuite):
    durable = False
    test_everything_survives_a_restart = None

    async def make(self, path):
        store = MemoryStore()
        await store.open()
        return store


async def sqlite(path, **options):
    store = SqliteStore(SqliteOptions(path=str(path / "store.db"), **options), None)
    await store.open()
    return store


class TestSqlite(StoreSuite):
    async def make(self, path):
        return await sqlite(path)

    async def test_the_file_is_private(self, tmp_path):
        store = await sqlite(tmp_path)
        assert os.stat(store.path).st_mode & 0o777 == 0o600
        await store.close()

    async def test_a_second_server_is_told_who_has_it(self, tmp_path):
        store = await sqlite(tmp_path)
        script = (
            "import asyncio, sys\nfrom pathlib import Path\nfrom bareboat.store.sqlite import *\n"
            "s = SqliteStore(SqliteOptions(path=sys.argv[1]), None)\n"
            "try: asyncio.run(s.open())\nexcept Exception as e: print(type(e).__name__, e)"
        )
        told = subprocess.run([sys.executable, "-c", script, str(store.path)], capture_output=True, text=True, check=True).stdout
        assert told.startswith("Unavailable")
        assert "another server" in told
        await store.close()

    async def test_a_damaged_file_is_refused_and_left_alone(self, tmp_path):
        path = tmp_path / "store.db"
        path.write_bytes(b"this is no database at all" * 100)
        before = path.read_bytes()
        with pytest.raises(InvalidConfig, match="damaged"):
            await sqlite(tmp_path)
        assert path.read_bytes() == before

    async def test_a_newer_schema_is_refused(self, tmp_path):
        store = await sqlite(tmp_path)
        await store.close()
        with sqlite3.connect(store.path) as connection:
            connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
        connection.close()
        with pytest.raises(InvalidConfig, match="schema 99"):
            await sqlite(tmp_path)

    async def test_a_file_of_something_else_is_refused(self, tmp_path):
        with sqlite3.connect(tmp_path / "store.db") as connection:
            connection.execute("CREATE TABLE songs (name TEXT)")
        connection.close()
        with pytest.raises(InvalidConfig, match="something else"):
            await sqlite(tmp_path)

    async def test_the_wal_does_not_grow_without_end(self, tmp_path):
        store = await sqlite(tmp_path, checkpoint_pages=50)
        for i in range(1, 400):
            await store.append([row(i, f"core/pods/a/p{i}", value=b"x" * 4000)])
        assert os.stat(str(store.path) + "-wal").st_size < 2_000_000
        await store.close()

    async def test_acknowledged_rows_survive_kill_9(self, tmp_path):
        script = (
            "import asyncio, sys\nfrom bareboat.store.sqlite import *\nfrom bareboat.testing.store_suite import row\n"
            "async def main():\n"
            " s = SqliteStore(SqliteOptions(path=sys.argv[1]), None); await s.open()\n"
            " for i in range(1, 100000):\n"
            "  await s.append([row(i, f'core/pods/a/p{i}')]); print(i, flush=True)\n"
            "asyncio.run(main())"
        )
        writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "store.db")], stdout=subprocess.PIPE, text=True)
        acknowledged = 0
        while acknowledged < 200:
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        store = await sqlite(tmp_path)
        assert await store.head() >= acknowledged
        assert len(await self.live(store)) == await store.head()
        await store.close()


async def test_a_directory_that_cannot_be_written_is_named():
    with pytest.raises((InvalidConfig, Unavailable)) as caught:
        store = SqliteStore(SqliteOptions(path="/proc/nowhere/store.db"), None)
        await store.open()
    assert "/proc/nowhere" in caught.value.message
