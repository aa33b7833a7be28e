"""Certificates: a CA that signs client and serving certificates. EC P-256; everything PEM; private keys 0600.

``cryptography`` is imported when a certificate is made or read, not when this module is.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bareboat.base.clock import Clock
from bareboat.cluster.state import write_private

#: How long certificates last, and how long before their end they are made anew.
CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its key, as files and as PEM."""

    certificate: Path
    key: Path

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.read_bytes()

    @property
    def key_pem(self) -> bytes:
        return self.key.read_bytes()


class Authority:
    """One CA in one directory."""

    def __init__(self, directory: Path, clock: Clock, name: str = "ca", common_name: str = "bareboat") -> None:
        self._directory = directory
        self._clock = clock
        self.pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
        if not self.pair.certificate.exists():
            self._make_ca(common_name)

    @property
    def certificate_pem(self) -> bytes:
        return self.pair.certificate_pem

    def client(self, name: str, common_name: str, organizations: Sequence[str] = ()) -> Pair:
        """A client certificate, reused while it is good."""
        return self._issue(name, common_name, organizations, (), client=True)

    def serving(self, name: str, common_name: str, names: Sequence[str], organizations: Sequence[str] = ()) -> Pair:
        """A serving certificate for DNS names and addresses; made anew when the names change."""
        return self._issue(name, common_name, organizations, tuple(names), client=False)

    def _issue(self, name: str, common_name: str, organizations: Sequence[str], names: tuple[str, ...], *, client: bool) -> Pair:
        pair = Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        if not (pair.certificate.exists() and self._good(pair, common_name, organizations, names)):
            self._sign(pair, _subject(common_name, organizations), names, client=client)
        return pair

    def reissue(self, pair: Pair) -> None:
        """The same certificate with a new key and new dates."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        old = x509.load_pem_x509_certificate(pair.certificate_pem)
        usages = old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        self._sign(pair, old.subject, tuple(_names_of(old)), client=ExtendedKeyUsageOID.CLIENT_AUTH in usages)

    def _sign(self, pair: Pair, subject: Any, names: tuple[str, ...], *, client: bool) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        ca = x509.load_pem_x509_certificate(self.pair.certificate_pem)
        ca_key: Any = serialization.load_pem_private_key(self.pair.key_pem, None)
        key = _new_key()
        builder = _builder(subject, ca.subject, key, self._clock.now(), LIFE)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        self._write(pair, builder, ca_key, key)

    def _good(self, pair: Pair, common_name: str, organizations: Sequence[str], names: tuple[str, ...]) -> bool:
        """Of this CA, for the same names, and not near its end."""
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        found = x509.load_pem_x509_certificate(pair.certificate_pem)
        if found.not_valid_after_utc - self._clock.now() < RENEW_BEFORE:
            return False
        try:
            found.verify_directly_issued_by(x509.load_pem_x509_certificate(self.pair.certificate_pem))
        except (ValueError, InvalidSignature):
            return False
        return found.subject == _subject(common_name, organizations) and set(_names_of(found)) == set(names)

    def _make_ca(self, common_name: str) -> None:
        from cryptography import x509

        key = _new_key()
        subject = _subject(common_name, ())
        builder = _builder(subject, subject, key, self._clock.now(), CA_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        self._write(self.pair, builder, key, key)

    def _write(self, pair: Pair, builder: Any, signer: Any, key: Any) -> None:
        from cryptography.hazmat.primitives import hashes, serialization

        certificate = builder.sign(signer, hashes.SHA256())
        write_private(pair.key, key_pem(key))
        write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def request(common_name: str, organizations: Sequence[str], names: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """A new key and a certificate request for it, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key = _new_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(common_name, organizations))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    return key_pem(key), builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pin(certificate_pem: bytes) -> str:
    """How a CA is known to who has not met it: the hash of its public key, as kubeadm writes it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem


def signing_key(path: Path) -> bytes:
    """The key that service account tokens are signed with, made if it is missing. PEM."""
    if not path.exists():
        write_private(path, key_pem(_new_key()))
    return path.read_bytes()


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _subject(common_name: str, organizations: Sequence[str]) -> Any:
    from cryptography import x509

    attributes = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*attributes, x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _builder(subject: Any, issuer: Any, key: Any, now: datetime, life: timedelta) -> Any:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _general_name(text: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _names_of(certificate: Any) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
