"""SQLite's words in the contract's errors: what went wrong, with which file, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bareboat.contracts.errors import DriverError, Exhausted, InvalidConfig, Unavailable

_SEE = "docs/troubleshooting.md"


def translated(error: Exception, path: Path) -> None:
    """Raises the contract's error for one of the database's; does nothing for others."""
    if isinstance(error, sa.exc.DBAPIError):
        raise translate(error, path) from error


def translate(error: sa.exc.DBAPIError, path: Path) -> DriverError:
    text = str(error.orig)
    if "locked" in text:
        return in_use(path, "another server")
    if is_full(error):
        return Exhausted(f"no space left for {path}: free some; writes are refused until then, reads go on", reason="StoreFull")
    if "not a database" in text or "malformed" in text:
        return damaged(path, text)
    if "readonly" in text or "unable to open" in text:
        return InvalidConfig(f"{path} cannot be written ({text}): check its owner, mode and disk", reason="StoreReadOnly")
    return DriverError(f"{path}: {text}: check the disk; the file is opened again and verified before the next write", reason="StoreFailed")


def is_full(error: BaseException) -> bool:
    """No space: the write was undone as a whole, and what was there before is as it was."""
    return isinstance(error, sa.exc.DBAPIError) and "full" in str(error.orig)


def damaged(path: Path, what: str) -> InvalidConfig:
    return InvalidConfig(
        f"{path} is damaged ({what}): restore a backup (bareboat store restore); the file was not changed, see {_SEE}",
        reason="StoreDamaged",
    )


def in_use(path: Path, holder: str) -> Unavailable:
    return Unavailable(f"{path} is in use by {holder}: stop that one first", reason="StoreLocked")


def lost(path: Path, found: int, head: int) -> InvalidConfig:
    return InvalidConfig(
        f"{path} has lost revisions {found + 1} to {head}, which the disk had confirmed: this server still has the objects in memory; "
        "run `bareboat store backup FILE` now, replace the disk and restore that backup",
        reason="StoreLost",
    )
