"""Encryption at rest: what is stored cannot be read without its key, cannot be moved, and keys can be changed."""

import base64
import os

import pytest
import yaml

from bareboat.base.clock import SystemClock
from bareboat.contracts.errors import InvalidConfig
from bareboat.store import keyring
from bareboat.store.entry import head
from bareboat.store.log import Log
from bareboat.store.sealed import sealed
from bareboat.store.sqlite import SqliteOptions, SqliteStore
from bareboat.testing.store_suite import StoreSuite, row

SECRET, MAP = "core/secrets/ns/s", "core/configmaps/ns/c"
VALUE = b'{"metadata":{"name":"s"},"data":{"p":"topsecret"}}'


def key(name, letter=b"k"):
    return {"name": name, "secret": base64.b64encode(letter * 32).decode()}


def write(path, *providers, resources=("secrets",), mode=0o600):
    path.write_text(
        yaml.safe_dump(
            {
                "kind": "EncryptionConfiguration",
                "apiVersion": "apiserver.config.k8s.io/v1",
                "resources": [{"resources": list(resources), "providers": list(providers)}],
            }
        )
    )
    path.chmod(mode)
    return path


def aesgcm(*keys):
    return {"aesgcm": {"keys": list(keys)}}


IDENTITY = {"identity": {}}


async def make(path, *providers, **options):
    ring = keyring.read(write(path / "keys.yaml", *providers, **options)) if providers else None
    store = sealed(SqliteStore, SqliteOptions(path=str(path / "store.db")), None, ring)
    await store.open()
    return store


async def live(store):
    return [(r.key, r.value) async for rows in store.load() for r in rows]


class TestSealedSqlite(StoreSuite):
    async def make(self, path):
        return await make(path, aesgcm(key("key1")), resources=["*.*"])


async def test_secrets_are_sealed_and_others_are_not(tmp_path):
    store = await make(tmp_path, aesgcm(key("key1")), IDENTITY)
    await store.append([row(1, SECRET, value=VALUE), row(2, MAP, value=VALUE.replace(b"topsecret", b"public"))])
    assert dict(await live(store))[SECRET] == VALUE
    await store.close()
    stored = (tmp_path / "store.db").read_bytes()
    assert b"topsecret" not in stored
    assert b"k8s:enc:aesgcm:v1:key1:" in stored
    assert b"public" in stored


async def test_equal_values_are_stored_differently(tmp_path):
    ring = keyring.read(write(tmp_path / "keys.yaml", aesgcm(key("key1"))))
    assert len({ring.seal(SECRET, "core/secrets", VALUE) for _ in range(50)}) == 50


async def test_a_sealed_value_under_another_name_does_not_open(tmp_path):
    ring = keyring.read(write(tmp_path / "keys.yaml", aesgcm(key("key1"))))
    with pytest.raises(InvalidConfig, match="core/secrets/ns/other does not open"):
        ring.unseal("core/secrets/ns/other", ring.seal(SECRET, "core/secrets", VALUE))


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ((aesgcm(key("key1", b"z")),), "does not open with key 'key1'.*keys.yaml"),
        ((aesgcm(key("key2")),), "sealed with key 'key1', which .*keys.yaml does not have: add it"),
        ((IDENTITY,), "sealed with key 'key1', which"),
        ((), "sealed with key 'key1', and no keys are configured: set encryption.file"),
    ],
    ids=["wrong", "missing", "identity", "none"],
)
async def test_a_wrong_or_missing_key_is_told_and_nothing_is_changed(tmp_path, then, says):
    store = await make(tmp_path, aesgcm(key("key1")))
    await store.append([row(1, SECRET, value=VALUE)])
    await store.close()
    before = store.path.read_bytes()
    store = await make(tmp_path, *then)
    with pytest.raises(InvalidConfig, match=says):
        await live(store)
    await store.close()
    assert store.path.read_bytes() == before


async def test_keys_are_rotated_by_writing_again(tmp_path):
    store = await make(tmp_path, IDENTITY)
    await store.append([row(1, SECRET, value=VALUE), row(2, MAP, value=VALUE)])
    await store.close()
    store = await make(tmp_path, aesgcm(key("new", b"n"), key("old", b"o")), IDENTITY)
    assert await live(store) == [(SECRET, VALUE), (MAP, VALUE)]
    assert store.seals.stale == {SECRET}
    await store.append([row(3, SECRET, previous=1, created=1, value=VALUE)])
    assert store.seals.stale == set()
    await store.close()
    store = await make(tmp_path, aesgcm(key("new", b"n")))
    assert (SECRET, VALUE) in await live(store)
    await store.close()


async def test_the_log_knows_nothing_of_it(tmp_path):
    log = Log(await make(tmp_path, aesgcm(key("key1")), resources=["*.*"]), SystemClock(), lambda r: head("Secret", "v1"))
    await log.start()
    entry = await log.write(SECRET, VALUE, expect=0)
    assert b"topsecret" in entry.data
    subscription = await log.subscribe(SECRET, 0)
    assert subscription.take()[0].entry.data == entry.data
    subscription.close()
    await log.stop()


@pytest.mark.parametrize(
    ("resource", "rules", "sealed_"),
    [
        ("core/secrets", ["secrets"], True),
        ("apps/deployments", ["deployments"], False),
        ("apps/deployments", ["deployments.apps"], True),
        ("apps/deployments", ["*.apps"], True),
        ("core/pods", ["*."], True),
        ("core/pods", ["*.apps"], False),
        ("batch/jobs", ["*.*"], True),
    ],
)
def test_resources_are_named_as_upstream_names_them(tmp_path, resource, rules, sealed_):
    ring = keyring.read(write(tmp_path / "keys.yaml", aesgcm(key("key1")), resources=rules))
    assert bool(ring.writer(resource)) is sealed_


@pytest.mark.parametrize(
    ("providers", "mode", "says"),
    [
        ([aesgcm(key("key1"))], 0o644, "chmod 600"),
        ([aesgcm({"name": "a", "secret": "!!"})], 0o600, "no base64"),
        ([aesgcm({"name": "a", "secret": "YWJj"})], 0o600, "has 3 bytes"),
        ([{"aescbc": {"keys": []}}], 0o600, "providers aesgcm and identity.*aescbc"),
        ([aesgcm()], 0o600, "without keys"),
        ([aesgcm(key("a", b"1"), key("a", b"2"))], 0o600, "'a'"),
        ([{}], 0o600, "either aesgcm or identity"),
        ([], 0o600, "must have an entry"),
    ],
)
def test_a_key_file_that_cannot_be_used_says_why(tmp_path, providers, mode, says):
    with pytest.raises(InvalidConfig, match=says):
        keyring.read(write(tmp_path / "keys.yaml", *providers, mode=mode))


def test_a_key_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match=r"nothing\.yaml: No such file"):
        keyring.read(tmp_path / "nothing.yaml")


def test_a_generated_file_can_be_used(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_bytes(keyring.generate(lambda: os.urandom(32)))
    path.chmod(0o600)
    assert keyring.read(path).writer("core/secrets") == b"key1"
