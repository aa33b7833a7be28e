"""Tokens from a file: one a line as ``token,user,uid,"group1,group2"``. Only their hashes are kept.

Whoever reads the file is any of its users, so it is refused unless only its owner may.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import msgspec

from bareboat.contracts.auth import Authenticator, Credentials, UserInfo


class TokenFileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` of the file."""

    path: str


class TokenFileError(ValueError):
    """The file cannot be used; the text names file and line, never a token."""


class TokenFileAuthenticator(Authenticator):
    """The file is read once, at start."""

    name = "token-file"

    def __init__(self, users: dict[bytes, UserInfo]) -> None:
        self._users = users

    @classmethod
    def read(cls, path: Path) -> TokenFileAuthenticator:
        """Raises TokenFileError."""
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TokenFileError(f"{path} cannot be read: {error.__class__.__name__}") from error
        if mode & 0o077:
            raise TokenFileError(f"{path} has mode {mode & 0o777:04o}: others may read its tokens; run chmod 600 {path}")
        return cls(parsed(text, str(path)))

    def steady(self, credentials: Credentials) -> bool:
        del credentials
        return True

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        # a hash as key: how long the look-up takes says nothing about a token
        return self._users.get(_digest(credentials.token)) if credentials.token else None


def parsed(text: str, source: str) -> dict[bytes, UserInfo]:
    """Users by the hash of their token. Raises TokenFileError."""
    users: dict[bytes, UserInfo] = {}
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    for row in reader:
        where = f"{source}:{reader.line_num}"
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3:
            raise TokenFileError(f"{where}: {len(row)} columns: at least token, user and uid are needed")
        token, name, uid = (column.strip() for column in row[:3])
        if not token or not name:
            raise TokenFileError(f"{where}: the {'user' if token else 'token'} is empty")
        if _digest(token) in users:
            raise TokenFileError(f"{where}: the token of {name!r} is also that of {users[_digest(token)].name!r}")
        groups = tuple(group.strip() for group in (row[3] if len(row) > 3 else "").split(",") if group.strip())
        users[_digest(token)] = UserInfo(name=name, uid=uid, groups=groups)
    return users


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
