"""Detached signatures of ``cluster-info``: a JSON web signature by a bootstrap token's secret, without what it signs.

A machine that holds the token knows by it that the CA it is told is the cluster's. HMAC-SHA256, as kubeadm reads it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

#: Keys of the ConfigMap: what is signed, and each token's signature of it.
CONTENT, PREFIX = "kubeconfig", "jws-kubeconfig-"


def sign(content: str, token_id: str, secret: str) -> str:
    header = _encoded(msgspec.json.encode({"alg": "HS256", "kid": token_id}))
    return f"{header}..{_mac(header, content, secret)}"


def verified(signature: str, content: str, token_id: str, secret: str) -> bool:
    """Whether the secret of that token, and nothing else, made the signature: the header has no say in how it is checked."""
    header, _, rest = signature.partition("..")
    expected = _encoded(msgspec.json.encode({"alg": "HS256", "kid": token_id}))
    try:
        told = msgspec.json.decode(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, msgspec.DecodeError):
        return False
    if header != expected and told != {"alg": "HS256", "kid": token_id}:
        return False
    return hmac.compare_digest(rest.encode(), _mac(header, content, secret).encode())


def _mac(header: str, content: str, secret: str) -> str:
    payload = f"{header}.{_encoded(content.encode())}"
    return _encoded(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
