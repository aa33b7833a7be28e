"""What the cluster file may say about the database, and the connection arguments that follow from it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec

from bareboat.contracts.errors import InvalidConfig


class PostgresOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``url``: ``postgresql://USER@HOST:PORT/DATABASE``, or ``postgresql://USER@/DATABASE?host=/run/postgresql`` for a socket; never
    with a password. ``password_file``: a file with the password; without it the environment's PGPASSWORD, then ``~/.pgpass``
    (PGPASSFILE). ``schema``: where the tables are; one for each cluster. ``tls``: disable, prefer, require, verify-ca or verify-full;
    ``tls_ca``, ``tls_certificate`` and ``tls_key`` are PEM files. ``timeout``: seconds until a request without an answer counts as
    lost. ``readers``: connections for reads.
    """

    url: str
    password_file: str = ""
    schema: str = "bareboat"
    tls: str = "prefer"
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    timeout: float = 5.0
    readers: int = 4

    def __post_init__(self) -> None:
        if self.schema != self.schema.lower() or not self.schema.isidentifier() or not self.schema.isascii() or len(self.schema) > 48:
            raise ValueError("schema: lower-case letters, digits and underscores, 48 at most")
        if self.tls not in ("disable", "prefer", "require", "verify-ca", "verify-full"):
            raise ValueError("tls: one of disable, prefer, require, verify-ca, verify-full")
        if not self.url.startswith(("postgresql://", "postgres://")):
            raise ValueError("url: postgresql://USER@HOST:PORT/DATABASE")
        found = urlsplit(self.url)
        if found.password is not None or "password" in parse_qs(found.query):
            raise ValueError("url: the password does not belong here: use password_file, PGPASSWORD or ~/.pgpass")
        if self.timeout <= 0 or self.readers < 1:
            raise ValueError("timeout and readers must be positive")

    @property
    def shown(self) -> str:
        """The database as messages name it."""
        found = urlsplit(self.url)
        host = parse_qs(found.query).get("host", [""])[0] or found.netloc.rpartition("@")[2]
        return urlunsplit(
            ("postgresql", host if not host.startswith("/") else "", (host if host.startswith("/") else "") + found.path, "", "")
        )


def arguments(options: PostgresOptions) -> dict[str, Any]:
    """For asyncpg.connect. Raises InvalidConfig."""
    found: dict[str, Any] = {"dsn": options.url, "timeout": options.timeout, "command_timeout": options.timeout}
    if options.password_file:
        try:
            found["password"] = Path(options.password_file).read_text().strip()
        except OSError as error:
            raise InvalidConfig(f"password_file {options.password_file} cannot be read: {error.strerror}") from error
    elif "PGPASSWORD" in os.environ:
        found["password"] = os.environ["PGPASSWORD"]
    found["ssl"] = options.tls if options.tls in ("disable", "prefer") and not options.tls_certificate else _tls(options)
    return found


def _tls(options: PostgresOptions) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = options.tls == "verify-full"
    if options.tls not in ("verify-ca", "verify-full"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        if options.tls_ca:
            context.load_verify_locations(options.tls_ca)
        if options.tls_certificate:
            context.load_cert_chain(options.tls_certificate, options.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfig(f"TLS files of the store cannot be used: {error}") from error
    return context
