"""What the cluster file may say about etcd."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from bareboat.contracts.errors import InvalidConfig


class EtcdOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``endpoints``: client URLs of the etcd cluster, tried in turn. ``prefix``: what the keys of this cluster start with.

    ``tls_ca``, ``tls_certificate``, ``tls_key``: PEM files for https. ``user`` and ``password_file``: for an etcd with authentication.
    ``timeout``: seconds until a request without an answer counts as lost. ``compact``: let etcd forget its own history too; say false
    if others keep data there and need theirs.
    """

    endpoints: list[str]
    prefix: str = "/bareboat"
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    user: str = ""
    password_file: str = ""
    timeout: float = 5.0
    compact: bool = True

    def __post_init__(self) -> None:
        if not self.endpoints or not all(e.startswith(("http://", "https://")) for e in self.endpoints):
            raise ValueError("endpoints: a list of http:// or https:// URLs")
        if not self.prefix.startswith("/") or self.prefix.endswith("/"):
            raise ValueError("prefix: starts with a slash and does not end with one")
        if self.timeout <= 0:
            raise ValueError("timeout must be positive")

    @property
    def shown(self) -> str:
        """etcd as messages name it."""
        return f"etcd at {', '.join(self.endpoints)}"


def context(options: EtcdOptions) -> ssl.SSLContext | None:
    """None without https. Raises InvalidConfig."""
    if not any(e.startswith("https://") for e in options.endpoints):
        return None
    try:
        found = ssl.create_default_context(cafile=options.tls_ca or None)
        if options.tls_certificate:
            found.load_cert_chain(options.tls_certificate, options.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfig(f"TLS files of the store cannot be used: {error}") from error
    return found


def password(options: EtcdOptions) -> str:
    """Raises InvalidConfig."""
    try:
        return Path(options.password_file).read_text().strip()
    except OSError as error:
        raise InvalidConfig(f"password_file {options.password_file} cannot be read: {error.strerror}") from error
