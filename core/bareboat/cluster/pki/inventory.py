"""Every certificate of a data directory with its dates: what ``bareboat certs check`` shows and ``renew`` makes anew."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bareboat.base.clock import Clock, rfc3339
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import RENEW_BEFORE


class Standing(msgspec.Struct, kw_only=True):
    """One certificate. ``state``: valid, expiring (it is renewed by itself while the cluster runs), expired, foreign (not of this CA)."""

    name: str
    subject: str
    issuer: str
    path: str
    expires: str
    days: int
    ca: bool
    state: str


def check(layout: Layout, clock: Clock) -> list[Standing]:
    """Raises ClusterError if there is nothing to check."""
    found = list(_all(layout, clock))
    if not found:
        raise ClusterError(f"no certificates in {layout.data_dir}: `bareboat init`, `up` or `join` makes them")
    return found


def _all(layout: Layout, clock: Clock) -> Iterator[Standing]:
    now = clock.now()
    pki = layout.data_dir / "server" / "pki"
    for path in sorted(pki.glob("*.crt"), key=lambda p: (p.stem != "ca", p.stem)):
        yield _standing(path.stem, path, path.read_bytes(), pki / "ca.crt", now)
    nodes = layout.data_dir / "nodes"
    for path in sorted(nodes.glob("*/*.crt")):
        if path.stem != "ca":
            yield _standing(f"{path.parent.name}/{path.stem}", path, path.read_bytes(), path.parent / "ca.crt", now)
    for path in kubeconfigs(layout):
        name = path.name if path.parent != layout.data_dir / "nodes" else path.parent.name
        shown = f"{path.parent.name}/{name}" if path.parent.parent == nodes else name
        certificate = _embedded(path)
        if certificate:
            yield _standing(shown, path, certificate, None, now)


def kubeconfigs(layout: Layout) -> list[Path]:
    candidates = [layout.data_dir / "kubeconfig", *sorted((layout.data_dir / "server").glob("*.kubeconfig"))]
    return [p for p in [*candidates, *sorted((layout.data_dir / "nodes").glob("*/kubeconfig"))] if p.exists()]


def _embedded(path: Path) -> bytes:
    """The client certificate of a kubeconfig. Raises ClusterError."""
    try:
        document = yaml.safe_load(path.read_text())
        return base64.b64decode(document["users"][0]["user"].get("client-certificate-data", ""))
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ClusterError(f"{path} is no kubeconfig that can be read: {type(error).__name__}") from error


def _standing(name: str, path: Path, pem: bytes, ca: Path | None, now: datetime) -> Standing:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ClusterError(f"{path} is no certificate: {error}") from error
    left = found.not_valid_after_utc - now
    return Standing(
        name=name,
        subject=_common_name(found.subject),
        issuer=_common_name(found.issuer),
        path=str(path),
        expires=rfc3339(found.not_valid_after_utc),
        days=left // timedelta(days=1),
        ca=found.subject == found.issuer,
        state=_state(found, ca, left),
    )


def _state(found: Any, ca: Path | None, left: timedelta) -> str:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if left <= timedelta(0):
        return "expired"
    if ca is not None and ca.exists():
        try:
            found.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.read_bytes()))
        except (ValueError, TypeError, InvalidSignature):
            return "foreign"
    return "expiring" if left < RENEW_BEFORE else "valid"


def _common_name(name: Any) -> str:
    from cryptography import x509

    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
