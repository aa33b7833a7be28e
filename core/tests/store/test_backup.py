"""Backups: consistent while writes go on, whole or refused, restored into any store with revisions past every old one."""

import asyncio

import msgspec
import pytest

from bareboat.base.clock import SystemClock
from bareboat.contracts.errors import InvalidConfig, NotFound
from bareboat.contracts.store import Compacted
from bareboat.models.scheme import Scheme
from bareboat.store import keyring
from bareboat.store.backup import MAGIC, Backup, chunks, moved
from bareboat.store.entry import head
from bareboat.store.log import Log
from bareboat.store.maintenance import Maintenance
from bareboat.store.memory import MemoryStore
from bareboat.store.sealed import sealed
from bareboat.store.sqlite import SqliteOptions, SqliteStore
from bareboat.testing.store_suite import row


def stored(name, value="1"):
    return msgspec.json.encode({"metadata": {"name": name, "namespace": "ns"}, "data": {"a": value}})


def key(name, resource="configmaps"):
    return f"core/{resource}/ns/{name}"


def quiet(done, of):
    del done, of


@pytest.fixture
async def ring(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_bytes(keyring.generate())
    path.chmod(0o600)
    return keyring.read(path)


@pytest.fixture
async def log(tmp_path, ring):
    store = sealed(SqliteStore, SqliteOptions(path=str(tmp_path / "a" / "store.db")), None, ring)
    log = Log(store, SystemClock(), lambda r: head("ConfigMap", "v1"))
    await log.start()
    yield log
    await log.stop()


@pytest.fixture
def keeping(log):
    return Maintenance(log, Scheme.builtin(), SystemClock(), cluster="one", instance="i")


async def backed_up(keeping, path):
    with path.open("wb") as file:

        async def sink(data):
            file.write(data)

        return await keeping.backup(sink, quiet)


async def test_a_backup_has_what_there_was_at_its_revision_while_writes_go_on(log, keeping, tmp_path):
    for i in range(1500):
        log._submit(key(f"m{i:04}"), stored(f"m{i:04}"), None, 0.0)
    last = await log.write(key("s", "secrets"), stored("s", "topsecret"), expect=0)
    stop = asyncio.Event()

    async def churn():
        number = 0
        while not stop.is_set():
            await log.update(key(f"m{number % 1500:04}"), lambda e: stored(e.key.rpartition("/")[2], "changed"))
            number += 1
        return number

    writer = asyncio.ensure_future(churn())
    header = await backed_up(keeping, tmp_path / "b")
    stop.set()
    assert await writer > 0
    rows = list(Backup(tmp_path / "b").rows())
    assert len(rows) == header.objects == 1501
    assert last.revision <= header.head < log.head
    assert all(r.revision <= header.head for r in rows)
    assert header.keys == ["key1"]
    assert b"topsecret" not in b"".join(r.value for r in rows)


async def restored(path, store, base):
    async def batches():
        for batch in chunks(moved(Backup(path).rows(), base), lambda done: None):
            yield batch

    await store.restore(base, batches())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_any_store_takes_it_and_all_old_revisions_are_past(log, keeping, tmp_path, ring, kind):
    first = await log.write(key("a"), stored("a"), expect=0)
    await log.write(key("s", "secrets"), stored("s", "topsecret"), expect=0)
    await log.write(key("b"), stored("b"), expect=0)
    await log.write(key("a"), stored("a", "2"), expect=first.revision)
    await log.write(key("b"), None)
    header = await backed_up(keeping, tmp_path / "b")
    cls, options = (MemoryStore, None) if kind == "memory" else (SqliteStore, SqliteOptions(path=str(tmp_path / "new" / "store.db")))
    store = sealed(cls, options, None, ring)
    await store.open()
    await store.append([row(1, "core/pods/ns/old")])
    await restored(tmp_path / "b", store, header.head + 1000)
    other = Log(store, SystemClock(), lambda r: head("ConfigMap", "v1"))
    await other.start()
    assert {e.key for e in other.everything()[1]} == {key("a"), key("s", "secrets")}
    assert b"topsecret" in other.get(key("s", "secrets")).data
    assert (other.compacted, other.head) == (1005, 1007)
    with pytest.raises(Compacted):
        await other.subscribe(key("a"), header.head)
    entry = await other.write(key("a"), stored("a", "3"), expect=other.get(key("a")).revision)
    assert entry.revision == 1008
    await other.stop()


async def test_a_restore_that_breaks_off_changes_nothing(tmp_path):
    store = SqliteStore(SqliteOptions(path=str(tmp_path / "store.db")), None)
    await store.open()
    await store.append([row(1, key("old"))])

    async def broken():
        yield [row(101, key("a"))]
        raise InvalidConfig("the backup broke off")

    with pytest.raises(InvalidConfig):
        await store.restore(100, broken())
    assert [r.key async for rows in store.load() for r in rows] == [key("old")]
    await store.append([row(2, key("next"))])
    await store.close()


def cut(data):
    return data[:-20]


def flip(data):
    middle = len(MAGIC) + (len(data) - len(MAGIC)) * 2 // 3
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def head_changed(data):
    return data.replace(b'"cluster":"one"', b'"cluster":"two"')


def other(data):
    return b"not a backup" + data


@pytest.mark.parametrize("harm", [cut, flip, head_changed, other], ids=lambda f: f.__name__)
async def test_a_backup_that_is_not_whole_is_refused(log, keeping, tmp_path, harm):
    for i in range(300):
        log._submit(key(f"m{i}"), stored(f"m{i}"), None, 0.0)
    await log.write(key("z"), stored("z"), expect=0)
    path = tmp_path / "b"
    await backed_up(keeping, path)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(InvalidConfig, match=r"is damaged|is no backup"):
        list(Backup(path).rows())


async def test_figures_and_one_object_as_it_was(log, keeping):
    first = await log.write(key("a"), stored("a"), expect=0)
    await log.write(key("a"), stored("a", "2" * 1000), expect=first.revision)
    await log.write(key("s", "secrets"), stored("s"), expect=0)
    figures = await keeping.stats()
    assert (figures.objects, figures.rows, figures.head, figures.sealed) == (2, 3, 3, ["core/secrets"])
    assert figures.largest[0][0] == key("a")
    assert b'"a":"1"' in (await keeping.get(key("a"), first.revision))[1]
    with pytest.raises(NotFound):
        await keeping.get(key("s", "secrets"), first.revision)
    assert await keeping.compact(0, quiet) == 3
    with pytest.raises(Compacted):
        log._window.start = 3
        await keeping.get(key("a"), first.revision)


async def test_keys_that_were_changed_are_used_after_reencrypt(tmp_path, log, keeping, ring):
    await log.write(key("s", "secrets"), stored("s"), expect=0)
    await log.stop()
    tree = keyring.generate().replace(b"key1", b"key2")
    old = (tmp_path / "keys.yaml").read_bytes()
    import yaml

    new = yaml.safe_load(tree)
    new["resources"][0]["providers"].insert(1, yaml.safe_load(old)["resources"][0]["providers"][0])
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(new))
    store = sealed(SqliteStore, SqliteOptions(path=str(tmp_path / "a" / "store.db")), None, keyring.read(tmp_path / "keys.yaml"))
    again = Log(store, SystemClock(), lambda r: head("ConfigMap", "v1"))
    await again.start()
    assert again.stale(key("s", "secrets"))
    assert await Maintenance(again, Scheme.builtin(), SystemClock(), cluster="", instance="").reencrypt(quiet) == 1
    assert not again.stale(key("s", "secrets"))
    await again.stop()
    assert b"v1:key2:" in (tmp_path / "a" / "store.db").read_bytes()


async def test_verify_names_what_is_wrong(log, keeping):
    first = await log.write(key("a"), stored("a"), expect=0)
    await log.write(key("a"), stored("a", "2"), expect=first.revision)
    assert (await keeping.verify(quiet, file=True)).problems == []
    connection = log.store._file._connection
    connection.exec_driver_sql("UPDATE log SET previous = 7, checksum = 0 WHERE revision = 2")
    connection.exec_driver_sql("INSERT INTO log SELECT 5, 'core/configmaps/ns/other', 5, 0, 0, 0, value, 0 FROM log WHERE revision = 2")
    connection.exec_driver_sql(
        "INSERT INTO log SELECT 6, 'core/pods/ns/a', 6, 0, 0, 0, CAST('{\"metadata\":7' AS BLOB), 0 FROM log WHERE revision = 2"
    )
    connection.commit()
    log.store._file.head = 6
    problems = "\n".join((await keeping.verify(quiet, file=True)).problems)
    assert "revision 2, core/configmaps/ns/a: it follows 7, but the one before is 1" in problems
    assert "revisions 3 to 4 are missing" in problems
    assert "core/configmaps/ns/other: the value is that of ns/a" in problems
    assert "core/pods/ns/a: the value does not decode" in problems
