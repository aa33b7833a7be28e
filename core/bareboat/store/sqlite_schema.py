"""The tables of the SQLite file, and opening it: made durably, locked, looked at before anything is written, brought up to date.

What comes in: a path. What goes out: the one connection, in WAL mode, or a DriverError that names the file and the remedy.
Nothing is written to a file before it is known to be ours, whole at its head, and of a version that this kernel reads.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import zlib
from pathlib import Path

import sqlalchemy as sa

from bareboat.contracts.errors import InvalidConfig
from bareboat.store.sqlite_errors import damaged, in_use

log = logging.getLogger("bareboat.store")

#: 1: the tables. 2: a checksum per row, and space that is given back (auto_vacuum). An older kernel refuses a newer file.
SCHEMA_VERSION = 2
#: What a WAL that grew for once is cut to when it is written from its start again.
WAL_LIMIT = f"journal_size_limit={32 << 20}"
MAGIC = b"SQLite format 3\0"

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
    sa.Column("checksum", sa.Integer, nullable=False, server_default="0"),
)
META = sa.Table("meta", _metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))


def checksum(revision: int, key: str, value: bytes) -> int:
    """Of a row; never 0, which stands for a row of a time without checksums."""
    return zlib.crc32(value, zlib.crc32(f"{revision} {key}".encode())) or 1


class Lock:
    """One server has the file: a lock beside it, held until ``release`` or the end of the process, with the holder's pid."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidConfig(f"{path} cannot be opened: {self._path}: {error.strerror}: check owner, mode and disk") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise in_use(path, f"another server (process {holder or 'unknown'})") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def prepare(path: Path) -> Lock:
    """Make the directory, take the lock, look at the file without touching it. Raises DriverErrors."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfig(f"store file {path} cannot be made: {error.strerror}") from error
    lock = Lock(path)
    try:
        _create(path)
        _look(path)
    except BaseException:
        lock.release()
        raise
    return lock


def open_connection(path: Path) -> sa.Connection:
    """The one connection; ``prepare`` comes first. Raises DriverErrors, and SQLAlchemy's of a damaged file."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.StaticPool, connect_args={"timeout": 1.0})
    connection = engine.connect()
    try:
        if not path.stat().st_size:  # it must come before anything that writes, and it is a write to a file that has it
            pragma(connection, "auto_vacuum=INCREMENTAL")
        for text in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0", WAL_LIMIT):
            pragma(connection, text)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.rollback()
        _bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        engine.dispose()
        raise
    return connection


def _create(path: Path) -> None:
    """Mode 0600 from the first moment, and durable: file and directories are synced."""
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
            os.fsync(descriptor)
            os.close(descriptor)
            for directory in (path.parent, path.parent.parent):
                sync_directory(directory)
        elif not os.access(path, os.R_OK | os.W_OK):
            raise InvalidConfig(f"{path} may not be read and written by this user: chown it, or run as its owner")
        elif (mode := path.stat().st_mode & 0o777) & 0o077:
            log.warning("%s can be opened by others (mode %03o): chmod 600 %s", path, mode, path)
    except OSError as error:
        raise InvalidConfig(f"store file {path} cannot be made: {error.strerror}") from error


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _look(path: Path) -> None:
    """Read header and schema version without a lock, a write or the WAL; all of them are in the file itself since it was made."""
    with path.open("rb") as file:
        start = file.read(100)
    if not start:
        return
    if not start.startswith(MAGIC):
        raise damaged(path, "it does not start as a SQLite file")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            _check(path, {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}, connection)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error


def _check(path: Path, tables: set[str], connection: sqlite3.Connection) -> None:
    if not tables:
        return
    if tables == {"log"} or tables == {"meta"}:
        raise damaged(path, f"only the table {tables.pop()} is there")
    if not tables >= {"log", "meta"}:
        raise InvalidConfig(f"{path} is a SQLite file of something else: give another path")
    found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if found is None or not str(found[0]).isdecimal():
        raise damaged(path, "it does not say which schema it has")
    if int(found[0]) > SCHEMA_VERSION:
        raise InvalidConfig(
            f"{path} has schema {found[0]}, this version reads up to {SCHEMA_VERSION}: use the version that wrote it, or newer",
            reason="StoreNewer",
        )


def _bring_up_to_date(connection: sa.Connection, path: Path) -> None:
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if not tables:
        _metadata.create_all(connection)
        put_meta(connection, "schema", str(SCHEMA_VERSION))
        connection.commit()
        checkpoint(connection)
        return
    found = int(connection.execute(sa.select(META.c.value).where(META.c.name == "schema")).scalar_one())
    connection.rollback()
    if found < SCHEMA_VERSION:
        log.info("%s: from schema %d to %d", path, found, SCHEMA_VERSION)
        _from_1(connection)
        checkpoint(connection)


def _from_1(connection: sa.Connection) -> None:
    """The column and the version in one transaction; the rewrite that lets space be given back may be repeated at any time."""
    columns = set(connection.exec_driver_sql("SELECT name FROM pragma_table_info('log')").scalars())
    connection.rollback()
    pragma(connection, "auto_vacuum=INCREMENTAL")
    connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if "checksum" not in columns:
        connection.exec_driver_sql("ALTER TABLE log ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
    put_meta(connection, "schema", str(SCHEMA_VERSION))
    connection.commit()


def put_meta(connection: sa.Connection, name: str, value: str) -> None:
    connection.execute(META.delete().where(META.c.name == name))
    connection.execute(META.insert(), {"name": name, "value": value})


def checkpoint(connection: sa.Connection, *, empty: bool = True) -> None:
    """Move the WAL into the file and start it anew. Unless it is to be ``empty`` afterwards, the next rows are written over the old ones:
    then the file system need not find room for them again."""
    busy = pragma(connection, f"wal_checkpoint({'TRUNCATE' if empty else 'PASSIVE'})")
    assert not busy or not busy[0][0], "another connection is at the file"


def pragma(connection: sa.Connection, text: str) -> list[tuple[object, ...]]:
    """Run to its end; its rows, if it has any."""
    result = connection.exec_driver_sql(f"PRAGMA {text}")
    found = [tuple(row) for row in result] if result.returns_rows else []
    connection.rollback()
    return found
