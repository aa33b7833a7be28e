"""A node's certificates through CertificateSigningRequests: the first one with a bootstrap token, the next ones with the one before."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.pki.authority import request
from bareboat.controllers.certificates.requests import KUBELET_CLIENT, KUBELET_SERVING
from bareboat.models import certificates_v1, meta_v1
from bareboat.models.meta import get_condition

Request = certificates_v1.CertificateSigningRequest
_EVERY = 0.5


async def client_certificate(client: Client, node: str, ids: Ids, patience: float = 60.0) -> tuple[bytes, bytes]:
    """(key, certificate) with which the node is known to the API. Raises ClusterError, ApiError."""
    return await _obtained(client, KUBELET_CLIENT, node, (), ids, patience)


async def serving_certificate(client: Client, node: str, ids: Ids, patience: float = 60.0) -> tuple[bytes, bytes]:
    """(key, certificate) for the node's name. Raises ClusterError, ApiError."""
    return await _obtained(client, KUBELET_SERVING, node, (node,), ids, patience)


async def _obtained(client: Client, signer: str, node: str, names: Sequence[str], ids: Ids, patience: float) -> tuple[bytes, bytes]:
    key, csr = request(f"system:node:{node}", ("system:nodes",), names)
    usages = ["digital signature", "server auth" if names else "client auth"]
    name = f"{'csr' if names else 'node-csr'}-{node}-{ids.suffix(8)}"
    spec = certificates_v1.CertificateSigningRequestSpec(request=base64.b64encode(csr).decode(), signerName=signer, usages=usages)
    await client.create(Request(metadata=meta_v1.ObjectMeta(name=name), spec=spec))
    try:
        async with asyncio.timeout(patience):
            while True:
                found = await client.get(Request, name)
                if found.status.certificate:
                    return key, base64.b64decode(found.status.certificate)
                _refused(found)
                await asyncio.sleep(_EVERY)
    except TimeoutError:
        raise ClusterError(
            f"nobody signed the request {name} in {patience:g} s: `kubectl certificate approve {name}` may be needed"
        ) from None


def _refused(found: Request) -> None:
    for kind in ("Denied", "Failed"):
        condition = get_condition(found.status.conditions, kind)
        if condition is not None:
            raise ClusterError(f"the request {found.metadata.name} was {kind.lower()}: {condition.message or condition.reason}")
