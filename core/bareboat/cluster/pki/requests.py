"""Signing what others ask for: a certificate request becomes a certificate of the cluster's CA.

Whether it may be signed is decided before; here only key, subject and names are taken over, and the usages that were agreed on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bareboat.base.clock import Clock
from bareboat.cluster.pki.authority import Pair

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
}
_EXTENDED = {
    "any": "ANY_EXTENDED_KEY_USAGE",
    "server auth": "SERVER_AUTH",
    "client auth": "CLIENT_AUTH",
    "code signing": "CODE_SIGNING",
    "email protection": "EMAIL_PROTECTION",
    "timestamping": "TIME_STAMPING",
    "ocsp signing": "OCSP_SIGNING",
}


class RequestSigner:
    """``signer(request, usages, seconds)`` with the CA of ``pair``."""

    def __init__(self, pair: Pair, clock: Clock) -> None:
        self._pair = pair
        self._clock = clock

    def __call__(self, request: bytes, usages: list[str], seconds: float) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        ca = x509.load_pem_x509_certificate(self._pair.certificate_pem)
        key: Any = serialization.load_pem_private_key(self._pair.key_pem, None)
        asked = x509.load_pem_x509_csr(request)
        now = self._clock.now()
        end = min(now + timedelta(seconds=seconds), ca.not_valid_after_utc)
        builder = x509.CertificateBuilder().subject_name(asked.subject).issuer_name(ca.subject).public_key(asked.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(minutes=5)).not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        for extension, critical in _usage_extensions(usages):
            builder = builder.add_extension(extension, critical=critical)
        for found in asked.extensions:
            if isinstance(found.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(found.value, critical=found.critical)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage_extensions(usages: list[str]) -> list[tuple[Any, bool]]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    wanted = {_KEY_USAGES[u] for u in usages if u in _KEY_USAGES}
    found: list[tuple[Any, bool]] = []
    if wanted:
        names = (*dict.fromkeys(_KEY_USAGES.values()), "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
        found.append((x509.KeyUsage(**{name: name in wanted for name in names}), True))
    extended = [getattr(ExtendedKeyUsageOID, _EXTENDED[u]) for u in usages if u in _EXTENDED]
    if extended:
        found.append((x509.ExtendedKeyUsage(extended), False))
    return found
