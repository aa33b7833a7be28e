"""kubeconfig files: writing one that any client reads (mode 0600), and making a transport from one."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bareboat.client.https import HttpsTransport


class KubeconfigError(Exception):
    """The file cannot be used; the text names file, field and remedy."""


def write(path: Path, *, server: str, ca: bytes, certificate: bytes, key: bytes, cluster: str = "bareboat", user: str = "admin") -> None:
    """Certificates are PEM and go inline."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": _encode(ca)}}],
        "users": [{"name": user, "user": {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(document, file, sort_keys=False)
    temporary.replace(path)


def credentials(path: Path) -> tuple[bytes, bytes, str, bytes]:
    """Client certificate, key, server and CA of the current context. Raises KubeconfigError."""
    cluster, user = _chosen(path, None)
    certificate, key = _decode(user, "client-certificate", path), _decode(user, "client-key", path)
    return certificate, key, cluster["server"], _decode(cluster, "certificate-authority", path)


def cluster_name(path: Path) -> str:
    """Name of the current context's cluster, as `write` put it."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return str(document["current-context"])


def webhook(path: Path) -> dict[str, Any]:
    """The current context as the client configuration of a webhook (client.webhooks). Raises KubeconfigError."""
    cluster, user = _chosen(path, None)
    found: dict[str, Any] = {"url": cluster["server"], "caBundle": _encode(_decode(cluster, "certificate-authority", path))}
    if "tokenFile" in user:
        found["tokenFile"] = str(path.parent / user["tokenFile"])
    elif "token" in user:
        found["token"] = user["token"]
    certificate, key = _decode(user, "client-certificate", path), _decode(user, "client-key", path)
    return {**found, "certificate": certificate.decode(), "key": key.decode()} if certificate else found


def load(path: Path, context: str | None = None, *, user_agent: str = "bareboat") -> HttpsTransport:
    """Raises KubeconfigError."""
    cluster, user = _chosen(path, context)
    ca = _decode(cluster, "certificate-authority", path).decode()
    return _with_certificate(cluster["server"], ca, user, path, user_agent)


def _chosen(path: Path, context: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of the context. Raises KubeconfigError."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: it is no kubeconfig")
    chosen = _named(document, "contexts", "context", context or document.get("current-context", ""), path)
    cluster = _named(document, "clusters", "cluster", chosen["cluster"], path)
    return cluster, _named(document, "users", "user", chosen.get("user", ""), path) if chosen.get("user") else {}


def _with_certificate(server: str, ca: str, user: dict[str, Any], path: Path, user_agent: str) -> HttpsTransport:
    if "client-certificate-data" not in user and "client-certificate" not in user:
        token_file = Path(user["tokenFile"]) if "tokenFile" in user else None
        return HttpsTransport(server, ca_data=ca, token=user.get("token", ""), token_file=token_file, user_agent=user_agent)
    with _files(user, path) as (certificate, key):
        return HttpsTransport(server, ca_data=ca, certificate=certificate, key=key, user_agent=user_agent)


def renew(transport: HttpsTransport, path: Path) -> None:
    """Show the client certificate that the file has now. Raises KubeconfigError."""
    _, user = _chosen(path, None)
    with _files(user, path) as (certificate, key):
        transport.renew(certificate, key)


@contextmanager
def _files(user: dict[str, Any], path: Path) -> Iterator[tuple[Path, Path]]:
    """Certificate and key as files: ssl reads them from files only."""
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory) / "crt", Path(directory) / "key"
        for target, field in ((certificate, "client-certificate"), (key, "client-key")):
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(_decode(user, field, path))
        yield certificate, key


def _named(document: dict[str, Any], section: str, field: str, name: str, path: Path) -> dict[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            found: dict[str, Any] = entry[field]
            return found
    known = ", ".join(e.get("name", "") for e in document.get(section) or ()) or "none"
    raise KubeconfigError(f"{path}: no {field} {name!r} in {section}; there are: {known}")


def _decode(section: dict[str, Any], field: str, path: Path) -> bytes:
    if f"{field}-data" in section:
        return base64.b64decode(str(section[f"{field}-data"]))
    if field in section:
        return (path.parent / str(section[field])).read_bytes()
    return b""


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
