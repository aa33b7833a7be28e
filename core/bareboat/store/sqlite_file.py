"""The SQLite file, through SQLAlchemy Core: what is done with it, and what is done when the disk fails.

All of it runs on the store's own thread. Rows are appended in revision order and never updated; there is no index but the
primary key, because the live rows are in memory above and everything else reads ranges of revisions.

A write or a sync that failed leaves the operating system with pages that it may hold for written though the disk has not got
them. So after such an error the file is *suspect*: nothing is written until it was closed, read again from the disk, found
to have every acknowledged row and none of the refused ones, and checkpointed with success.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from bareboat.contracts.errors import DriverError, Unavailable
from bareboat.contracts.store import Row, StoreStats, in_order
from bareboat.store.sqlite_errors import damaged, is_full, lost, translate
from bareboat.store.sqlite_schema import LOG, META, checkpoint, checksum, open_connection, pragma, prepare, put_meta

log = logging.getLogger("bareboat.store")

#: Free pages that are kept for the rows to come: this many, and this part of the file.
SPARE_PAGES = 256
SPARE_PART = 8
#: Rows of one INSERT at most, a power of two.
LARGEST_INSERT = 64


class SqliteFile:
    """An open file. Raises DriverErrors with the remedy when it cannot be opened, SQLAlchemy's errors afterwards."""

    def __init__(self, path: Path, checkpoint_pages: int) -> None:
        self.path = path
        self._checkpoint_pages = checkpoint_pages
        self._lock = prepare(path)
        self._uncheckpointed = 0
        #: why the file has to be opened again before the next write; "" if it need not
        self.suspect = ""
        self._refused = False
        try:
            self._open: sa.Connection | None = open_connection(path)
            self.compacted, newest = self._known()
        except BaseException:
            self._lock.release()
            raise
        self.head = max(newest, self.compacted)
        # what a killed server left counts, or one that is killed again and again would let it grow for ever
        self._uncheckpointed = self._wal_pages()
        if self.checkpoint_due:
            self.checkpoint(empty=True)

    def _wal_pages(self) -> int:
        """At most so many wait in the WAL for a checkpoint."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        return wal.stat().st_size // 4096 if wal.exists() else 0

    @property
    def _connection(self) -> sa.Connection:
        if self._open is None:
            raise Unavailable(f"{self.path} is closed: {self.suspect or 'the store was stopped'}", reason="StoreFailed")
        return self._open

    def _known(self) -> tuple[int, int]:
        newest = self._connection.execute(sa.select(sa.func.coalesce(sa.func.max(LOG.c.revision), 0))).scalar_one()
        compacted = self._connection.execute(sa.select(META.c.value).where(META.c.name == "compacted")).scalar()
        self._connection.rollback()
        return int(compacted or 0), int(newest)

    def close(self) -> None:
        if self._open is not None and not self.suspect:
            self.checkpoint(empty=True)
        self._let_go()
        self._lock.release()

    def _let_go(self) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            with suppress(sa.exc.DBAPIError):  # what it could not write is in the WAL
                connection.close()
            connection.engine.dispose()

    def append(self, rows: Sequence[Row]) -> None:
        if self.suspect:
            self.reopen()
        in_order(rows, self.head)
        if not rows and not self._refused:
            return
        try:
            if rows:
                self._insert(rows)
            else:  # the last write was refused: would one be taken now?
                put_meta(self._connection, "probed", str(self.head))
            self._commit()
        except BaseException as error:
            self._refused = True
            self._undo(error)
            raise
        self._refused = False
        self.head += len(rows)
        self._uncheckpointed += sum(2 + len(row.value) // 4096 for row in rows)

    def _insert(self, rows: Sequence[Row]) -> None:
        """Many rows in one statement: between two statements the thread has to get the interpreter back from the event loop's."""
        connection, values = self._driver, [_stored(row) for row in rows]
        try:
            done = 0
            while done < len(values):
                count = min(LARGEST_INSERT, 1 << (len(values) - done).bit_length() - 1)
                connection.execute(_insert_of(count), [value for row in values[done : done + count] for value in row])
                done += count
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError("INSERT INTO log", None, error) from error

    def _commit(self) -> None:
        """What ``_insert`` or the connection wrote."""
        try:
            self._driver.commit()
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError("COMMIT", None, error) from error
        self._connection.commit()

    @property
    def _driver(self) -> sqlite3.Connection:
        """The connection below SQLAlchemy's, whose part in a commit is as large as SQLite's own."""
        connection = self._connection.connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection

    def _undo(self, error: BaseException) -> None:
        """After a full disk everything is as before; after any other error of the disk the file is suspect."""
        try:
            self._driver.rollback()
            self._connection.rollback()
        except sqlite3.Error as failed:
            error = sa.exc.DBAPIError("ROLLBACK", None, failed)
        except sa.exc.DBAPIError as failed:
            error = failed
        if isinstance(error, sa.exc.DBAPIError) and not is_full(error):
            self.suspect = str(error.orig)
            log.error("%s: %s; it is opened again and verified before the next write", self.path, self.suspect)

    def reopen(self) -> None:
        """From suspect to trusted: raises a DriverError, and stays suspect, unless the disk has exactly what was acknowledged."""
        self._let_go()
        _forget_cached(self.path)
        try:
            self._open = open_connection(self.path)
            _, newest = self._known()
            if newest < self.head and self.head > self.compacted:
                raise lost(self.path, newest, self.head)
            self._connection.execute(LOG.delete().where(LOG.c.revision > self.head))
            self._connection.commit()
            if self._kept_history() != self.head - self.compacted:
                raise damaged(self.path, f"revisions between {self.compacted} and {self.head} are missing")
            problems = self.check(quick=True)
            if problems:
                raise damaged(self.path, problems[0])
            checkpoint(self._connection)
        except sa.exc.DBAPIError as error:
            self._let_go()
            raise translate(error, self.path) from error
        except DriverError:
            self._let_go()
            raise
        log.warning("%s: opened again after %r; everything up to revision %d is there", self.path, self.suspect, self.head)
        self.suspect = ""
        self._uncheckpointed = 0

    def _kept_history(self) -> int:
        """How many revisions after the compacted one are there; none of them may be missing."""
        after = sa.select(sa.func.count()).select_from(LOG).where(LOG.c.revision > self.compacted)
        found = self._connection.execute(after).scalar_one()
        self._connection.rollback()
        return int(found)

    @property
    def checkpoint_due(self) -> bool:
        return self._uncheckpointed >= self._checkpoint_pages and not self.suspect

    def checkpoint(self, *, empty: bool = False) -> None:
        """Between two appends, never part of one: rows in the WAL are durable already."""
        try:
            checkpoint(self._connection, empty=empty)
            self._uncheckpointed = 0
        except sa.exc.DBAPIError as error:
            log.warning("%s: checkpoint: %s", self.path, error.orig)
            if not is_full(error):
                self.suspect = str(error.orig)

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
        rows = []
        for revision, key, created, previous, deleted, expires_at, value, known in self._connection.execute(query):
            if known and known != checksum(revision, key, value):
                self._connection.rollback()
                raise damaged(self.path, f"revision {revision}, {key}: the checksum does not fit")
            rows.append(
                Row(
                    key=key,
                    revision=revision,
                    created=created,
                    previous=previous,
                    value=value,
                    deleted=deleted,
                    expires_at=expires_at,
                )
            )
        self._connection.rollback()
        return rows

    def compact(self, revision: int, limit: int) -> int:
        if self.suspect:
            self.reopen()
        target = min(revision, self.head, self.compacted + limit)
        if target <= self.compacted:
            return self.compacted
        step = sa.and_(LOG.c.revision > self.compacted, LOG.c.revision <= target)
        try:
            replaced = self._connection.execute(sa.select(LOG.c.previous).where(step, LOG.c.previous > 0)).scalars().all()
            removed = self._connection.execute(LOG.delete().where(LOG.c.revision.in_(replaced))).rowcount
            removed += self._connection.execute(LOG.delete().where(step, LOG.c.deleted)).rowcount
            put_meta(self._connection, "compacted", str(target))
            self._connection.commit()
        except BaseException as error:
            self._undo(error)
            raise
        self.compacted = target
        self._uncheckpointed += 2 * removed + 4
        self._give_back(limit, spare=True)
        return target

    def shrink(self, limit: int) -> int:
        """Give back at most ``limit`` free pages; returns the bytes that are still free. The last step empties the WAL too."""
        left = self._give_back(limit, spare=False)
        if not left:
            self.checkpoint(empty=True)
        return left

    def _give_back(self, limit: int, *, spare: bool) -> int:
        free, pages, size = (self._number(name) for name in ("freelist_count", "page_count", "page_size"))
        count = min(limit, free - (max(SPARE_PAGES, pages // SPARE_PART) if spare else 0))
        if count > 0:
            try:
                self._pragma(f"incremental_vacuum({count})")
            except BaseException as error:
                self._undo(error)
                raise
            self._uncheckpointed += 2 * count
            before, free = free, self._number("freelist_count")
            if free == before:  # a file that cannot shrink
                return 0
        return free * size

    def _number(self, pragma: str) -> int:
        return int(str(self._pragma(pragma)[0][0]))

    def _pragma(self, text: str) -> list[tuple[object, ...]]:
        return pragma(self._connection, text)

    def check(self, *, quick: bool = False) -> list[str]:
        """What SQLite finds wrong with the file; [] if nothing."""
        found = [str(line) for (line,) in self._pragma("quick_check(20)" if quick else "integrity_check(20)")]
        return [] if found == ["ok"] else found

    def replace(self, rows: Sequence[Row]) -> None:
        """Within the transaction that ``begin_restore`` began: rows in revision order."""
        self._insert(rows)

    def begin_restore(self) -> None:
        if self.suspect:
            self.reopen()
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        self._connection.execute(LOG.delete())

    def end_restore(self, compacted: int, head: int, *, keep: bool) -> None:
        """Commit, or forget all of it."""
        if not keep:
            self._connection.rollback()
            return
        try:
            put_meta(self._connection, "compacted", str(compacted))
            self._connection.commit()
        except BaseException as error:
            self._undo(error)
            raise
        self.compacted, self.head = compacted, max(head, compacted)
        self.checkpoint(empty=True)

    def stats(self) -> StoreStats:
        rows = self._connection.execute(sa.select(sa.func.count()).select_from(LOG)).scalar_one()
        self._connection.rollback()
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        size = sum(os.stat(f).st_size for f in files if f.exists())
        return StoreStats(rows=rows, bytes_used=size, head=self.head, compacted=self.compacted)


def _stored(row: Row) -> tuple[object, ...]:
    """In the order of the columns."""
    known = checksum(row.revision, row.key, row.value)
    return row.revision, row.key, row.created, row.previous, row.deleted, row.expires_at, row.value, known


@cache
def _insert_of(count: int) -> str:
    """Of so many rows; the few different texts stay prepared."""
    columns = [column.name for column in LOG.columns]
    row = f"({','.join('?' * len(columns))})"
    return f"INSERT INTO log ({','.join(columns)}) VALUES {','.join([row] * count)}"  # noqa: S608  names of our own columns


def _forget_cached(path: Path) -> None:
    """Drop the operating system's copies, so that what is read next is what the disk has. The connection is closed by now."""
    for name in (path.name, path.name + "-wal"):
        with suppress(OSError):
            descriptor = os.open(path.with_name(name), os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
