"""The SQLite file: its tables, opening it safely, and what its errors mean. Runs on the store's own thread."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, Unavailable

#: Raised when the tables change; an older kernel refuses a newer file.
SCHEMA_VERSION = 1

_metadata = sa.MetaData()
LOG = sa.Table(
    "log",
    _metadata,
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("previous", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
META = sa.Table("meta", _metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))


def open_connection(path: Path) -> sa.Connection:
    """The one connection, in WAL mode, holding the file's lock until it is closed. Raises DriverErrors with the remedy."""
    _create(path)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.StaticPool, connect_args={"timeout": 1.0})
    connection = engine.connect()
    try:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        connection.rollback()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.rollback()
        _check_schema(connection, path)
    except BaseException:
        connection.close()
        engine.dispose()
        raise
    return connection


def _create(path: Path) -> None:
    """Mode 0600 from the first moment, and durable: the directory is synced as well."""
    if path.exists():
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    except OSError as error:
        raise InvalidConfig(f"store file {path} cannot be made: {error.strerror}") from error


def _check_schema(connection: sa.Connection, path: Path) -> None:
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if not tables:
        _metadata.create_all(connection)
        put_meta(connection, "schema", str(SCHEMA_VERSION))
        connection.commit()
        return
    if "meta" not in tables or "log" not in tables:
        raise InvalidConfig(f"{path} is a SQLite file of something else: give another path")
    found = int(connection.execute(sa.select(META.c.value).where(META.c.name == "schema")).scalar_one())
    connection.rollback()
    if found != SCHEMA_VERSION:
        raise InvalidConfig(f"{path} has schema {found}, this version reads {SCHEMA_VERSION}: use the version that wrote it, or newer")


def put_meta(connection: sa.Connection, name: str, value: str) -> None:
    connection.execute(META.delete().where(META.c.name == name))
    connection.execute(META.insert(), {"name": name, "value": value})


def checkpoint(connection: sa.Connection) -> None:
    """Move the WAL into the file and start it anew."""
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.rollback()


def translate(error: sa.exc.DBAPIError, path: Path) -> DriverError:
    """SQLite's words into the contract's errors."""
    text = str(error.orig)
    if "locked" in text:
        return Unavailable(f"{path} is in use by another server: stop that one first", reason="StoreLocked")
    if "full" in text:
        return Exhausted(f"no space left for {path}: free some and try again", reason="StoreFull")
    if "not a database" in text or "malformed" in text:
        return InvalidConfig(f"{path} is damaged ({text}): restore a backup; the file was not changed", reason="StoreDamaged")
    if "readonly" in text or "unable to open" in text:
        return InvalidConfig(f"{path} cannot be written ({text}): check its owner, mode and disk", reason="StoreReadOnly")
    return DriverError(f"{path}: {text}", reason="StoreFailed")
