"""Finding a cluster and knowing that it is the right one, with nothing but its address, a token and the hash of its CA's key.

The first answer is trusted only as far as it proves itself: it must be signed by the token, and its CA must have the pinned key. It is
then asked again over TLS that this CA vouches for, and must say the same.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import msgspec

from bareboat.auth import detached
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.joining.info import read_kubeconfig
from bareboat.cluster.pki.authority import pin

_PATH = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
_LIMIT, _SECONDS = 1 << 20, 20.0


class Found(msgspec.Struct, frozen=True):
    """A cluster that proved itself."""

    server: str
    ca: bytes


async def discover(address: str, token_id: str, secret: str, pins: Sequence[str]) -> Found:
    """``address`` is HOST:PORT. Without pins the token's signature alone has to do. Raises ClusterError."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE  # proven below by signature and pin
    content = _signed(await _ask(address, unchecked), token_id, secret)
    server, ca = read_kubeconfig(content)
    _check_pins(ca, pins)
    again = _signed(await _ask(address, _trusting(ca)), token_id, secret)
    if again != content:
        raise ClusterError(f"{address} told two different stories about the cluster: somebody is between it and this machine")
    return Found(server, ca)


def _signed(data: dict[str, str], token_id: str, secret: str) -> str:
    content = data.get(detached.CONTENT, "")
    signature = data.get(detached.PREFIX + token_id, "")
    if not signature:
        raise ClusterError(f"the cluster does not know the token {token_id}: it expired or was deleted; `bareboat token create` makes one")
    if not detached.verified(signature, content, token_id, secret):
        raise ClusterError(f"the cluster's signature by the token {token_id} is wrong: the token is another, or this is not the cluster")
    return content


def _check_pins(ca: bytes, pins: Sequence[str]) -> None:
    for wanted in pins:
        if not wanted.startswith("sha256:") or len(wanted) != 71:
            raise ClusterError(f"{wanted!r} is no hash of a CA's key: it has the form sha256: and 64 hexadecimal digits")
    found = [pin(block) for block in _blocks(ca)]
    if pins and not {p.lower() for p in pins}.intersection(found):
        raise ClusterError("the CA of the cluster is not the one that --ca-cert-hash names: this is not the cluster")


def _blocks(pem: bytes) -> list[bytes]:
    end = b"-----END CERTIFICATE-----"
    found = [block + end for block in pem.split(end)[:-1]]
    if not found:
        raise ClusterError("the cluster told no CA")
    return found


def _trusting(ca: bytes) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca.decode())
    except (ssl.SSLError, ValueError) as error:
        raise ClusterError("the cluster told a CA that cannot be read") from error


async def _ask(address: str, tls: ssl.SSLContext) -> dict[str, str]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(f"https://{address}{_PATH}", ssl=tls, allow_redirects=False) as answer:
                body = b""
                while len(body) < _LIMIT and (chunk := await answer.content.read(_LIMIT)):
                    body += chunk
                if answer.status != 200:
                    raise ClusterError(f"{address} answered {answer.status} to who asked for kube-public/cluster-info")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ClusterError(f"{address} cannot be reached: {error or type(error).__name__}") from error
    try:
        data: Any = msgspec.json.decode(body)["data"]
        return msgspec.convert(data, dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise ClusterError(f"{address} is no Kubernetes API server") from error
