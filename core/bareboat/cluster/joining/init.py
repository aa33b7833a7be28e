"""Preparing a cluster before its server runs: PKI, kubeconfigs, cluster file, and a first bootstrap token.

The token waits in a file (0600) for the server, which makes a Secret of it at its start and removes the file.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.cluster import identities
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.file.writing import dump
from bareboat.cluster.joining.tokens import new_token, secret_of
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import Authority, pin, signing_key
from bareboat.cluster.state import write_private
from bareboat.models import core_v1
from bareboat.models.codec import encode
from bareboat.models.status import AlreadyExists


class Prepared(msgspec.Struct, kw_only=True):
    """What ``bareboat init`` shows. ``token`` is secret."""

    name: str
    dataDir: str
    endpoint: str
    caCertHash: str
    token: str
    kubeconfigs: list[str]

    @property
    def join(self) -> str:
        return join_line(self.endpoint, self.token, self.caCertHash)


def join_line(endpoint: str, token: str, ca_hash: str) -> str:
    return f"bareboat join {endpoint} --token {token} --ca-cert-hash {ca_hash}"


def prepare(layout: Layout, cluster: ClusterFile, address: str, clock: Clock, *, token: str = "", ttl: str = "24h") -> Prepared:
    """May be repeated: keys that are there stay, the token is another. Raises ClusterError."""
    if not cluster.server.port:
        raise ClusterError("server.port is 0, any free one: machines that join need one that stays; choose it with --port")
    pki = Authority(layout.pki, clock, common_name=f"bareboat-{cluster.name}")
    signing_key(layout.pki / "sa.key")
    layout.stopped_file.unlink(missing_ok=True)
    write_private(layout.cluster_file, dump(cluster))
    endpoint = f"{address}:{cluster.server.port}"
    identities.write(layout, pki, f"https://{endpoint}", cluster.name)
    write_private(layout.server / "advertised", f"https://{endpoint}\n".encode())
    token = token or new_token()
    write_private(_pending(layout), encode(secret_of(token, clock, ttl=ttl, description="made by bareboat init")))
    return Prepared(
        name=cluster.name,
        dataDir=str(layout.data_dir),
        endpoint=endpoint,
        caCertHash=pin(pki.certificate_pem),
        token=token,
        kubeconfigs=[str(one.path) for one in identities.issued(layout, pki)],
    )


async def admit_pending(client: Client, layout: Layout) -> None:
    """The token that ``prepare`` left, if it did."""
    path = _pending(layout)
    if not path.exists():
        return
    secret = msgspec.json.decode(path.read_bytes(), type=core_v1.Secret)
    try:
        await client.create(secret)
    except AlreadyExists:
        known = await client.get(core_v1.Secret, secret.metadata.name, secret.metadata.namespace)
        known.data = secret.data
        await client.update(known)
    path.unlink()


def _pending(layout: Layout) -> Path:
    return layout.server / "bootstrap-token.json"
