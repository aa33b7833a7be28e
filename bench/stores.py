"""The stores beside each other: batches that a driver makes durable, and what a server over each answers.

What comes in: this machine, with PostgreSQL and etcd if their rows are wanted (each gets a private server in a temporary folder). What
goes out: rows per second of a driver for batches of three sizes, and creates and GETs per second of a server with 1 and 16
clients. A GET without a resourceVersion asks a shared store for its head; with resourceVersion=0 none does.

    python -m bench.stores [--seconds 4] [--stores sqlite postgres etcd]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bareboat.contracts.store import Row, Store
from bareboat.testing.etcd import Etcd
from bareboat.testing.postgres import Postgres, place
from bench import objects
from bench.bench import WRITES, namespaces, token_of
from bench.load import NAME, wrk
from bench.server import OwnServer

BATCHES = (1, 16, 100)
VALUE = objects.body(objects.pod("p" * 20, 1)).ljust(4800)
Options = dict[str, str]


@contextmanager
def backend(name: str, folder: Path) -> Iterator[Options]:
    """The options of a store of that name."""
    if name == "postgres":
        postgres = Postgres(place())
        postgres.create()
        try:
            yield {"url": postgres.url}
        finally:
            postgres.stop()
            shutil.rmtree(postgres.folder)
    elif name == "etcd":
        (folder / "etcd").mkdir()
        member = Etcd(folder / "etcd")
        member.start()
        try:
            yield {"endpoints": f"[{member.url}]"}
        finally:
            member.kill()
    else:
        yield {}


def driver(name: str, options: Options, folder: Path) -> Store:
    """Apart from the objects of the server that is measured beside it."""
    if name == "postgres":
        from bareboat_store_postgres.plugin import PostgresOptions, PostgresStore

        return PostgresStore(PostgresOptions(url=options["url"], schema="bench"), None)  # type: ignore[arg-type]
    if name == "etcd":
        from bareboat_store_etcd.plugin import EtcdOptions, EtcdStore

        return EtcdStore(EtcdOptions(endpoints=[options["endpoints"].strip("[]")], prefix="/bench"), None)  # type: ignore[arg-type]
    from bareboat.store.memory import MemoryStore
    from bareboat.store.sqlite import SqliteOptions, SqliteStore

    if name == "memory":
        return MemoryStore()
    return SqliteStore(SqliteOptions(path=str(folder / "bench.db")), None)  # type: ignore[arg-type]


async def appended(store: Store, size: int, seconds: float) -> float:
    """Rows per second in batches of ``size``."""
    head = first = await store.head()
    until = (began := time.monotonic()) + seconds
    while time.monotonic() < until:
        await store.append(
            [Row(key=f"core/pods/a/p{n}", revision=n, created=n, previous=0, value=VALUE) for n in range(head + 1, head + 1 + size)]
        )
        head += size
    return (head - first) / (time.monotonic() - began)


async def driven(name: str, options: Options, folder: Path, seconds: float) -> None:
    store = driver(name, options, folder)
    await store.open()
    for size in BATCHES:
        rate = await appended(store, size, seconds)
        print(f"{name:<9} append, batches of {size:<3}            {rate:9.0f} rows/s  {rate / size:7.0f} batches/s", flush=True)
    await store.close()


def served(name: str, options: Options, folder: Path, seconds: float) -> None:
    words = ["--store", name] + [word for key, value in options.items() for word in ("--store-option", f"{key}={value}")]
    server = OwnServer(folder / "server", options=words)
    server.start()
    try:
        token = asyncio.run(token_of(server))
        asyncio.run(namespaces(server.url, token))
        for case, clients, load in cases(server.url, token, seconds):
            found = load(clients)
            print(
                f"{name:<9} {case:<24} {clients:>3} clients {found.per_second:8.0f} /s   p50 {found.p50:6.2f} ms  p99 {found.p99:6.1f} ms",
                flush=True,
            )
        print(f"{name:<9} start of an empty server {server.start_seconds:22.2f} s", flush=True)
    finally:
        server.stop()


def cases(url: str, token: str, seconds: float) -> Iterator[tuple[str, int, Callable[[int], Any]]]:
    pod = objects.text(objects.pod(NAME, 1)).replace('"namespace":"bench"', '"namespace":"bench-writes"')
    one = objects.text(objects.pod("one", 1)).replace('"namespace":"bench"', '"namespace":"bench-writes"')
    common: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, "seconds": seconds}
    asyncio.run(_made(url, token, one))
    for clients in (1, 16):
        yield "create Pod", clients, lambda n: wrk(f"{url}{WRITES}/pods", clients=n, body=pod.encode(), method="POST", **common)
    for clients in (1, 16):
        yield "GET Pod", clients, lambda n: wrk(f"{url}{WRITES}/pods/one", clients=n, **common)
    for clients in (1, 16):
        yield "GET Pod, any state", clients, lambda n: wrk(f"{url}{WRITES}/pods/one?resourceVersion=0", clients=n, **common)


async def _made(url: str, token: str, body: str) -> None:
    from bench.connection import Connection

    async with Connection(url, token) as connection:
        await connection.request("POST", f"{WRITES}/pods", body.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres", "etcd"])
    asked = parser.parse_args()
    for name in asked.stores:
        with tempfile.TemporaryDirectory(prefix="bareboat-stores-") as folder, backend(name, Path(folder)) as options:
            asyncio.run(driven(name, options, Path(folder), asked.seconds / 2))
            served(name, options, Path(folder), asked.seconds)


if __name__ == "__main__":
    main()
