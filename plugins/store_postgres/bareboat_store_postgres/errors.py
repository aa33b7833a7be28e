"""PostgreSQL's errors into the contract's, and whether an error says what became of a statement.

An error that the server answered means that the statement was rolled back, unless the server was taking the connection
down: then, as when the connection simply ended, nobody said whether it was committed.
"""

from __future__ import annotations

import asyncpg

from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, Unavailable

#: Everything that a call can end with.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_REMEDIES = {
    "28000": "check the role and pg_hba.conf",
    "28P01": "check the password: password_file, PGPASSWORD or ~/.pgpass",
    "3D000": "create the database, with the role as its owner",
    "42501": "the role must own the database or the schema",
    "0A000": "this PostgreSQL is too old: 12 is the oldest",
}


def unanswered(error: BaseException) -> bool:
    """The connection is gone, and with it the answer."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:3] in ("57P", "080")
    return isinstance(error, FAILURES)


def translate(error: BaseException, where: str) -> DriverError:
    """For an error of FAILURES."""
    if isinstance(error, DriverError):
        return error
    text = str(error) or type(error).__name__
    state = (error.sqlstate or "") if isinstance(error, asyncpg.PostgresError) else ""
    if state == "53100":
        return Exhausted(f"no space left for {where}: {text}", reason="StoreFull")
    if state in _REMEDIES:
        return InvalidConfig(f"{where}: {text}; {_REMEDIES[state]}", reason="StoreRefused")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{where} does not answer", reason="StoreTimeout")
    return Unavailable(f"{where}: {text}", reason="StoreUnreachable")
