"""The SQLite file, through SQLAlchemy Core: its tables, opening it safely, what is done with it, and what its errors mean.

All of it runs on the store's own thread. Rows are appended in revision order and never updated; there is no index but the
primary key, because the live rows are in memory above and everything else reads ranges of revisions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InvalidConfig, Unavailable
from bareboat.contracts.store import Row, StoreStats

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


class SqliteFile:
    """An open file. Raises DriverErrors with the remedy when it cannot be opened, SQLAlchemy's errors afterwards."""

    def __init__(self, path: Path, checkpoint_pages: int) -> None:
        self.path = path
        self._checkpoint_pages = checkpoint_pages
        self._connection = open_connection(path)
        self._uncheckpointed = 0
        newest = self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(LOG.c.revision), 0))).scalar_one()
        known = self._connection.execute(sa.select(META.c.value).where(META.c.name == "compacted")).scalar()
        self.compacted = int(known or 0)
        self.head = max(int(newest), self.compacted)
        self._connection.rollback()

    def close(self) -> None:
        checkpoint(self._connection)
        engine = self._connection.engine
        self._connection.close()
        engine.dispose()

    def append(self, rows: Sequence[Row]) -> None:
        if [row.revision for row in rows] != list(range(self.head + 1, self.head + 1 + len(rows))):
            raise Conflict(f"revisions must follow {self.head} without gap")
        try:
            self._connection.execute(LOG.insert(), [msgspec.structs.asdict(row) for row in rows])
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise
        self.head = rows[-1].revision if rows else self.head
        self._uncheckpointed += sum(2 + len(row.value) // 4096 for row in rows)
        if self._uncheckpointed >= self._checkpoint_pages:
            checkpoint(self._connection)
            self._uncheckpointed = 0

    def live_revisions(self) -> list[int]:
        """Of the newest row of every key that is not deleted."""
        newest: dict[str, tuple[int, bool]] = {}
        columns = sa.select(LOG.c.key, LOG.c.revision, LOG.c.deleted).order_by(LOG.c.revision)
        for key, revision, deleted in self._connection.execute(columns):
            newest[key] = (revision, deleted)
        self._connection.rollback()
        return sorted(revision for revision, deleted in newest.values() if not deleted)

    def rows_of(self, revisions: Sequence[int]) -> list[Row]:
        return self._rows(LOG.c.revision.in_(revisions))

    def rows_since(self, revision: int, limit: int) -> list[Row]:
        return self._rows(LOG.c.revision > revision, limit)

    def rows_until(self, prefix: str, revision: int) -> list[Row]:
        return self._rows(sa.and_(LOG.c.revision <= revision, LOG.c.key >= prefix, LOG.c.key < prefix + "\U0010ffff"))

    def _rows(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Row]:
        query = sa.select(LOG).where(where).order_by(LOG.c.revision).limit(limit)
        rows = [Row(**found._mapping) for found in self._connection.execute(query)]
        self._connection.rollback()
        return rows

    def compact(self, revision: int, limit: int) -> int:
        target = min(revision, self.head, self.compacted + limit)
        if target <= self.compacted:
            return self.compacted
        step = sa.and_(LOG.c.revision > self.compacted, LOG.c.revision <= target)
        try:
            replaced = self._connection.execute(sa.select(LOG.c.previous).where(step, LOG.c.previous > 0)).scalars().all()
            self._connection.execute(LOG.delete().where(LOG.c.revision.in_(replaced)))
            self._connection.execute(LOG.delete().where(step, LOG.c.deleted))
            put_meta(self._connection, "compacted", str(target))
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise
        self.compacted = target
        return target

    def stats(self) -> StoreStats:
        rows = self._connection.execute(sa.select(sa.func.count()).select_from(LOG)).scalar_one()
        self._connection.rollback()
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        size = sum(os.stat(f).st_size for f in files if f.exists())
        return StoreStats(rows=rows, bytes_used=size, head=self.head, compacted=self.compacted)


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


def translated(error: Exception, path: Path) -> None:
    """Raises the contract's error for one of the database's; does nothing for others."""
    if isinstance(error, sa.exc.DBAPIError):
        raise translate(error, path) from error


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
