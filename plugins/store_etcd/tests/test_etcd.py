"""What etcd suffers, and what it says: wrong options, nobody there, a newer schema, large writes, a server that hangs."""

import msgspec
import pytest

from bareboat.contracts.errors import DriverError, InvalidConfig, Unavailable
from bareboat.testing.shared_store_suite import asked_when_it_hung, told_while_it_hangs
from bareboat.testing.store_suite import row
from bareboat_store_etcd.options import EtcdOptions
from bareboat_store_etcd.plugin import EtcdStore

A, B = "core/pods/a/x", "core/pods/a/y"


async def opened(etcd, prefix, **others):
    store = EtcdStore(EtcdOptions(endpoints=[etcd.url], prefix=prefix, **{"timeout": 1.0, **others}), None)
    await store.open()
    return store


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoints": []}, "endpoints"),
        ({"endpoints": ["e1:2379"]}, "http://"),
        ({"endpoints": ["http://e"], "prefix": "x/"}, "slash"),
        ({"endpoints": ["http://e"], "timeout": 0}, "positive"),
        ({"endpoints": ["http://e"], "password": "x"}, "unknown field"),
    ],
)
def test_wrong_options_are_refused(wrong, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(wrong, EtcdOptions)


async def test_nobody_there_is_said(etcd):
    store = EtcdStore(EtcdOptions(endpoints=["http://127.0.0.1:1"], timeout=1.0), None)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await store.open()


async def test_the_next_endpoint_is_asked_when_one_is_away(etcd):
    store = EtcdStore(EtcdOptions(endpoints=["http://127.0.0.1:1", etcd.url], prefix="/next"), None)
    await store.open()
    assert await store.head() == 0
    await store.close()


async def test_a_newer_schema_is_refused(etcd):
    store = await opened(etcd, "/newer")
    await store.database._gateway.txn([], [{"request_put": {"key": "L25ld2VyL21ldGEvc2NoZW1h", "value": "OTk="}}])
    await store.close()
    with pytest.raises(InvalidConfig, match="schema 99"):
        await opened(etcd, "/newer")


async def test_the_largest_batch_that_is_promised_fits(etcd):
    store = await opened(etcd, "/large", timeout=5.0)
    size = store.max_bytes // store.max_rows
    await store.append([row(i, f"core/pods/a/p{i}", value=b"x" * size) for i in range(1, store.max_rows + 1)])
    assert len(await store.since(0, 1000)) == store.max_rows
    with pytest.raises(DriverError, match="too large"):
        await store.append([row(store.max_rows + 1, B, value=b"x" * 2_000_000)])
    assert await store.extend([row(store.max_rows + 1, B)], store.max_rows) == 0
    await store.close()


async def test_what_was_acknowledged_survives_a_crash(etcd):
    store = await opened(etcd, "/crash", timeout=5.0)
    await store.append([row(1, A)])
    etcd.kill()
    with pytest.raises(Unavailable):
        await store.head()
    etcd.start()
    assert [r.revision for r in await store.since(0, 10)] == [1]
    assert await store.extend([row(2, B)], 1) == 0
    await store.close()


async def test_an_etcd_that_hangs_is_told_in_time_and_what_it_did_is_known_later(etcd):
    await told_while_it_hangs(await opened(etcd, "/hangs"), etcd.pause, etcd.resume)


async def test_a_write_that_etcd_hung_on_is_asked_about_before_it_is_given_up(etcd):
    await asked_when_it_hung(await opened(etcd, "/hung", timeout=3.0), etcd.pause, etcd.resume)
