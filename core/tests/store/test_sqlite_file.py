"""The SQLite file over its life: older and damaged ones, disks that fail, space that is given back."""

import os
import shutil
import sqlite3

import pytest
import sqlalchemy as sa

from bareboat.contracts.errors import DriverError, InvalidConfig, Unavailable
from bareboat.store import sqlite_file
from bareboat.store.sqlite import SqliteOptions, SqliteStore
from bareboat.testing.store_suite import row

OLD = """
CREATE TABLE log (revision INTEGER NOT NULL PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, previous INTEGER NOT NULL,
  deleted BOOLEAN NOT NULL, expires_at FLOAT NOT NULL, value BLOB NOT NULL);
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('schema', '1'), ('compacted', '1');
INSERT INTO log VALUES (2, 'core/pods/a/x', 2, 0, 0, 0, X'7b7d'), (3, 'core/pods/a/y', 3, 0, 0, 0, X'7b7d');
"""


async def opened(path, **options):
    store = SqliteStore(SqliteOptions(path=str(path / "store.db"), **options), None)
    await store.open()
    return store


async def filled(path, count=50):
    store = await opened(path)
    await store.append([row(i, f"core/pods/a/p{i}", value=b"x" * 3000) for i in range(1, count + 1)])
    await store.close()
    return store.path


async def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path):
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executescript("PRAGMA journal_mode=WAL;" + OLD)
    connection.close()
    for _ in range(2):
        store = await opened(tmp_path)
        assert [r.key async for rows in store.load() for r in rows] == ["core/pods/a/x", "core/pods/a/y"]
        assert (await store.compacted(), await store.head(), await store.check()) == (1, 3, [])
        await store.close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("SELECT value FROM meta WHERE name='schema'").fetchone() == ("2",)
    connection.close()


def header(data):
    return b"X" * 20 + data[20:]


def page(data):
    return data[: 4096 * 5] + os.urandom(4096) + data[4096 * 6 :]


def bit(data):
    at = data.rindex(b"xxxxxxxx")
    return data[:at] + b"y" + data[at + 1 :]


def half(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("harm", [header, page, bit, half], ids=lambda f: f.__name__)
async def test_a_damaged_file_is_refused_by_name_and_not_made_worse(tmp_path, harm):
    path = await filled(tmp_path)
    path.write_bytes(harm(path.read_bytes()))
    before = path.read_bytes()
    store = SqliteStore(SqliteOptions(path=str(path)), None)
    with pytest.raises(InvalidConfig, match=r"store\.db is damaged .*restore a backup"):
        await store.open()
        [r async for r in store.load()]
    await store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("statement", ["DROP TABLE log", "DROP TABLE meta", "DELETE FROM meta"])
async def test_a_file_that_lacks_a_part_is_refused_and_not_made_worse(tmp_path, statement):
    path = await filled(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InvalidConfig, match="damaged"):
        await opened(tmp_path)
    assert path.read_bytes() == before


async def test_files_that_are_not_ours_are_left_byte_for_byte(tmp_path):
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(InvalidConfig, match="something else"):
        await opened(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == before


async def test_the_holder_of_the_file_is_named_by_its_process(tmp_path):
    store = await opened(tmp_path)
    with pytest.raises(Unavailable, match=f"process {os.getpid()}"):
        await opened(tmp_path)
    await store.close()
    await (await opened(tmp_path)).close()


def failing(monkeypatch, store, *, after):
    """Its next commit reports a failed sync, before or after the rows are in the file."""
    commit = store._file._commit

    def fail():
        if after:
            commit()
        monkeypatch.undo()
        raise sa.exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(store._file, "_commit", fail)


@pytest.mark.parametrize("after", [False, True])
async def test_after_a_failed_sync_the_file_is_opened_again_and_the_refused_rows_are_gone(tmp_path, monkeypatch, after):
    store = await opened(tmp_path)
    await store.append([row(1, "core/pods/a/x")])
    failing(monkeypatch, store, after=after)
    with pytest.raises(DriverError, match="disk I/O error"):
        await store.append([row(2, "core/pods/a/refused")])
    assert not (await store.status()).ready
    await store.append([])
    assert (await store.status()).ready
    assert [r.key for r in await store.since(0, 10)] == ["core/pods/a/x"]
    await store.append([row(2, "core/pods/a/next")])
    await store.close()


async def test_while_the_disk_goes_on_failing_every_write_is_refused(tmp_path, monkeypatch):
    store = await opened(tmp_path)
    await store.append([row(1, "core/pods/a/x")])
    failing(monkeypatch, store, after=False)
    with pytest.raises(DriverError):
        await store.append([row(2, "core/pods/a/y")])
    with monkeypatch.context() as broken:
        broken.setattr(sqlite_file, "open_connection", lambda path: (_ for _ in ()).throw(Unavailable("no disk")))
        for _ in range(3):
            with pytest.raises(Unavailable, match="no disk"):
                await store.append([row(2, "core/pods/a/y")])
    await store.append([row(2, "core/pods/a/y")])
    assert await store.head() == 2
    await store.close()


async def test_rows_that_a_disk_lost_after_confirming_them_stop_all_writes(tmp_path, monkeypatch):
    store = await opened(tmp_path)
    await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/a/y")])
    connection = store._file._connection
    connection.exec_driver_sql("DELETE FROM log WHERE revision = 2")
    connection.commit()
    store._file.suspect = "disk I/O error"
    with pytest.raises(InvalidConfig, match=r"lost revisions 2 to 2.*backup"):
        await store.append([row(3, "core/pods/a/z")])
    await store.close()


async def test_a_hole_that_a_disk_left_in_the_history_stops_all_writes(tmp_path):
    store = await opened(tmp_path)
    await store.append([row(1, "core/pods/a/x"), row(2, "core/pods/a/y"), row(3, "core/pods/a/z")])
    connection = store._file._connection
    connection.exec_driver_sql("DELETE FROM log WHERE revision = 2")
    connection.commit()
    store._file.suspect = "disk I/O error"
    with pytest.raises(InvalidConfig, match="revisions between 0 and 3 are missing"):
        await store.append([row(4, "core/pods/a/n")])
    await store.close()


async def test_a_failed_checkpoint_fails_no_append(tmp_path, monkeypatch):
    store = await opened(tmp_path, checkpoint_pages=5)

    def fail(connection, **_):
        raise sa.exc.OperationalError("PRAGMA", {}, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_file, "checkpoint", fail)
        await store.append([row(1, "core/pods/a/x", value=b"x" * 50_000)])
        assert await store.head() == 1
        assert len(await store.since(0, 10)) == 1
        assert not (await store.status()).ready
    await store.append([row(2, "core/pods/a/y")])
    assert (await store.status()).ready
    await store.close()


async def test_the_file_shrinks_when_history_is_forgotten(tmp_path):
    store = await opened(tmp_path)
    for start in range(1, 4001, 500):
        await store.append([row(i, "core/pods/a/x", previous=i - 1, created=1, value=b"x" * 3000) for i in range(start, start + 500)])
    full = (await store.stats()).bytes_used
    while await store.compact(4000, 500) < 4000:
        pass
    while await store.shrink(500):
        pass
    await store.close()
    assert store.path.stat().st_size < full / 50
    assert not store.path.with_name("store.db-wal").exists()


async def test_rows_are_written_over_old_ones_in_the_wal_and_all_are_there_after_a_crash_at_any_of_them(tmp_path):
    store = await opened(tmp_path, checkpoint_pages=20)
    wal, sizes = store.path.with_name("store.db-wal"), set()
    for number in range(1, 61):
        await store.append([row(number, f"core/pods/a/p{number}", value=b"%d " % number * 1000)])
        await store.stats()  # behind the checkpoint, if there is one
        sizes.add(wal.stat().st_size)
        if number in (8, 13, 21, 34, 55):
            left = tmp_path / f"crash-{number}"
            left.mkdir()
            for path in (store.path, wal):
                shutil.copy(path, left / path.name)
            found = await opened(left)
            assert [r.value for r in await found.since(0, 100)] == [b"%d " % n * 1000 for n in range(1, number + 1)]
            await found.close()
    assert len(sizes) < 20
    await store.close()
    assert not wal.exists()


async def test_the_wal_does_not_grow_over_many_lives_that_end_in_a_kill(tmp_path):
    sizes = []
    life = tmp_path / "0"
    life.mkdir()
    for number in range(1, 13):
        store = await opened(life, checkpoint_pages=40)
        await store.append([row(20 * number + i, f"core/pods/a/p{number}-{i}", value=b"x" * 3000) for i in range(-19, 1)])
        await store.stats()  # behind the checkpoint, if there is one
        sizes.append((life / "store.db-wal").stat().st_size)
        life = life.with_name(str(number))
        shutil.copytree(store.path.parent, life)  # what a kill leaves
        await store.close()
    assert max(sizes[6:]) <= max(sizes[:6])
