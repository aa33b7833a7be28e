"""CertificateSigningRequests: what may be asked for, and who may say what of it."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def _request():
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def _pem(kind):
    return base64.b64encode(f"-----BEGIN {kind}-----\nYQ==\n-----END {kind}-----\n".encode()).decode()


CSR = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": {"name": "a"},
    "spec": {"request": _request(), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
}


@pytest.mark.parametrize(
    ("path", "value", "causes"),
    [
        ("spec/usages", ["server auth"], []),
        ("spec/request", "YQ==", ["Invalid spec.request"]),
        ("spec/request", _pem("CERTIFICATE"), ["Invalid spec.request"]),
        ("spec/usages", [], ["Required spec.usages"]),
        ("spec/usages", ["knitting"], ["NotSupported spec.usages[0]"]),
        ("spec/usages", ["any", "any"], ["Duplicate spec.usages[1]"]),
        ("spec/signerName", "", ["Required spec.signerName"]),
        ("spec/signerName", "a", ["Invalid spec.signerName"]),
        ("spec/signerName", "kubernetes.io/legacy-unknown", ["Invalid spec.signerName"]),
        ("spec/expirationSeconds", 5, ["Invalid spec.expirationSeconds"]),
    ],
)
def test_what_may_be_asked_for(create, path, value, causes):
    assert create(CSR, path, value) == causes


@pytest.mark.parametrize(
    ("part", "status", "causes"),
    [
        ("approval", {"conditions": [{"type": "Approved", "status": "True"}]}, []),
        ("approval", {"conditions": [{"type": "Approved", "status": "False"}]}, ["NotSupported status.conditions[0].status"]),
        (
            "approval",
            {"conditions": [{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}]},
            ["Invalid status.conditions[1].type"],
        ),
        ("status", {"conditions": [{"type": "Approved", "status": "True"}]}, ["Forbidden status.conditions"]),
        ("status", {"conditions": [{"type": "Failed", "status": "True"}]}, []),
        ("status", {"certificate": _pem("CERTIFICATE")}, []),
        ("status", {"certificate": _pem("PRIVATE KEY")}, ["Invalid status.certificate"]),
        ("status", {"certificate": "YQ=="}, ["Invalid status.certificate"]),
    ],
)
def test_who_may_say_what(update, part, status, causes):
    assert update(CSR, "status", status, part) == causes


def test_the_server_says_who_asked(defaulted):
    assert defaulted(CSR, "spec/username", "root").spec.username == "admin"
