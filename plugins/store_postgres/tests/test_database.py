"""What databases suffer, and what they say: wrong options, a wrong password, a newer schema, a crash, a server that hangs."""

import asyncio
import logging
import shutil
import socket
import subprocess

import msgspec
import pytest

from bareboat.contracts.errors import InvalidConfig, Unavailable
from bareboat.testing.postgres import Postgres, place, programs
from bareboat.testing.shared_store_suite import asked_when_it_hung, told_while_it_hangs
from bareboat.testing.store_suite import row
from bareboat_store_postgres.options import PostgresOptions, arguments
from bareboat_store_postgres.plugin import PostgresStore

A, B = "core/pods/a/x", "core/pods/a/y"


def options(postgres, schema, **others):
    return PostgresOptions(url=postgres.url, schema=schema, **{"timeout": 1.0, **others})


async def opened(postgres, schema, **others):
    store = PostgresStore(options(postgres, schema, **others), None)
    await store.open()
    return store


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "mysql://x"}, "postgresql://"),
        ({"url": "postgresql://u:secret@h/d"}, "password does not belong"),
        ({"url": "postgresql://h/d?password=secret"}, "password does not belong"),
        ({"url": "postgresql://h/d", "schema": 'x"; DROP TABLE'}, "schema"),
        ({"url": "postgresql://h/d", "tls": "maybe"}, "verify-full"),
        ({"url": "postgresql://h/d", "readers": 0}, "positive"),
        ({"url": "postgresql://h/d", "pasword_file": "x"}, "unknown field"),
    ],
)
def test_wrong_options_are_refused_and_no_password_is_repeated(wrong, said):
    with pytest.raises(msgspec.ValidationError, match=said) as refused:
        msgspec.convert(wrong, PostgresOptions)
    assert "secret" not in str(refused.value)


def test_the_password_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text("from-file\n")
    monkeypatch.setenv("PGPASSWORD", "from-environment")
    assert arguments(PostgresOptions(url="postgresql://h/d", password_file=str(file)))["password"] == "from-file"
    assert arguments(PostgresOptions(url="postgresql://h/d"))["password"] == "from-environment"
    with pytest.raises(InvalidConfig, match="cannot be read"):
        arguments(PostgresOptions(url="postgresql://h/d", password_file=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u@db.example.org:5433/d", "postgresql://db.example.org:5433/d"),
        ("postgresql://u@/d?host=/run/postgresql", "postgresql:/run/postgresql/d"),
    ],
)
def test_messages_name_the_database_and_not_the_role(url, shown):
    assert PostgresOptions(url=url).shown == shown


async def test_a_role_that_owns_its_database_and_nothing_else_is_enough(postgres):
    postgres.sql("CREATE ROLE bareboat LOGIN")
    postgres.sql("CREATE DATABASE owned OWNER bareboat")
    url = f"postgresql://bareboat@/owned?host={postgres.folder}"
    store = PostgresStore(PostgresOptions(url=url), None)
    await store.open()
    await store.append([row(1, A)])
    await store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://postgres@/none?host={}", "create the database"),
        ("postgresql://nobody@/postgres?host={}", "check the role"),
        ("postgresql://postgres@/postgres?host={}/none", "No such file"),
        ("postgresql://postgres@127.0.0.1:1/postgres", "127.0.0.1"),
    ],
)
async def test_a_database_that_cannot_be_opened_says_what_to_do(postgres, url, said):
    store = PostgresStore(PostgresOptions(url=url.format(postgres.folder), timeout=1.0), None)
    with pytest.raises((InvalidConfig, Unavailable), match=said):
        await store.open()


async def test_a_newer_schema_is_refused(postgres):
    await (await opened(postgres, "newer")).close()
    postgres.sql("UPDATE newer.meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(InvalidConfig, match="schema 99"):
        await opened(postgres, "newer")


async def test_a_schema_of_something_else_is_refused(postgres):
    postgres.sql("CREATE SCHEMA songs; CREATE TABLE songs.titles (name text)")
    with pytest.raises(InvalidConfig, match="something else"):
        await opened(postgres, "songs")


async def test_servers_that_start_at_the_same_moment_make_one_schema(postgres):
    stores = await asyncio.gather(*(opened(postgres, "together", timeout=5.0) for _ in range(4)))
    await stores[0].append([row(1, A)])
    assert [await store.head() for store in stores] == [1, 1, 1, 1]
    await asyncio.gather(*(store.close() for store in stores))
    assert postgres.sql("SELECT count(*) FROM together.writers") == "0"


async def test_what_was_acknowledged_survives_a_crash_of_the_database(postgres):
    store = await opened(postgres, "crash", timeout=5.0)
    await store.append([row(1, A, value=b"x" * 9000)])
    postgres.stop("immediate")
    with pytest.raises(Unavailable):
        await store.head()
    postgres.start()
    assert [r.revision for r in await store.since(0, 10)] == [1]
    assert await store.extend([row(2, B)], 1) == 0
    await store.close()


async def test_a_database_that_hangs_is_told_in_time_and_what_it_did_is_known_later(postgres, caplog):
    caplog.set_level(logging.ERROR)
    await told_while_it_hangs(await opened(postgres, "hangs"), postgres.pause, postgres.resume)


async def test_a_write_that_the_database_hung_on_is_asked_about_before_it_is_given_up(postgres):
    await asked_when_it_hung(await opened(postgres, "hung", timeout=3.0), postgres.pause, postgres.resume)


async def test_a_server_whose_row_was_tidied_away_writes_on(postgres):
    store = await opened(postgres, "tidied")
    await store.append([row(1, A)])
    postgres.sql("DELETE FROM tidied.writers")
    assert await store.extend([row(2, B)], 1) == 0
    assert await store.head() == 2
    await store.close()


@pytest.fixture
def guarded(tmp_path):
    """A server of its own that wants TLS and a password, and its certificate."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db", "-addext"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True)
    server = Postgres(place())
    server.create()
    server.sql("CREATE ROLE guarded LOGIN PASSWORD 'open sesame'")
    server.sql("CREATE DATABASE guarded OWNER guarded")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server.port = probe.getsockname()[1]
    server.listen(server.port, certificate, key)
    yield f"postgresql://guarded@127.0.0.1:{server.port}/guarded", certificate
    server.stop("immediate")
    shutil.rmtree(server.folder)


async def test_tls_is_verified_and_the_password_is_read_from_where_it_is_kept(guarded, tmp_path, monkeypatch, caplog):
    url, certificate = guarded
    file, passwords = tmp_path / "password", tmp_path / "pgpass"
    file.write_text("open sesame\n")
    passwords.write_text("127.0.0.1:*:guarded:guarded:open sesame\n")
    passwords.chmod(0o600)

    async def head(**options):
        store = PostgresStore(PostgresOptions(url=url, timeout=3.0, **options), None)
        await store.open()
        try:
            return await store.head()
        finally:
            await store.close()

    verified = {"tls": "verify-full", "tls_ca": str(certificate)}
    assert await head(**verified, password_file=str(file)) == 0
    assert await head(tls="require", password_file=str(file)) == 0
    with pytest.raises(Unavailable, match="certificate"):
        await head(tls="verify-full", password_file=str(file))
    with pytest.raises(InvalidConfig, match="pg_hba"):
        await head(tls="disable", password_file=str(file))
    file.write_text("open barley")
    with pytest.raises(InvalidConfig, match="check the password") as refused:
        await head(**verified, password_file=str(file))
    assert "barley" not in str(refused.value) + caplog.text
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert await head(**verified) == 0
