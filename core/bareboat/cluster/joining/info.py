"""What a cluster tells who wants to join: ``kube-public/cluster-info`` to everybody, ``kube-system/bareboat-node-config`` to nodes.

The first holds a kubeconfig with the server's address and CA, signed by every bootstrap token; the second the parts of the cluster
file that a node needs.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import yaml

from bareboat.auth.detached import CONTENT
from bareboat.client.client import Client
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.reading import ClusterFileError, parse
from bareboat.cluster.file.shape import ClusterFile
from bareboat.controllers.tokens.bootstrap import INFO, PUBLIC
from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists

NODE_CONFIG, NODE_KEY = "bareboat-node-config", "cluster.yaml"


def kubeconfig_of(server: str, ca: bytes) -> str:
    """Of nobody: where the server is and whom to trust."""
    cluster = {"certificate-authority-data": base64.b64encode(ca).decode(), "server": server}
    document = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}], "contexts": [], "users": []}
    text: str = yaml.safe_dump({**document, "current-context": "", "preferences": {}}, sort_keys=False)
    return text


def read_kubeconfig(text: str) -> tuple[str, bytes]:
    """Server and CA. Raises ClusterError."""
    try:
        cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
        server, ca = cluster["server"], base64.b64decode(cluster["certificate-authority-data"], validate=True)
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ClusterError("the cluster's kube-public/cluster-info holds no kubeconfig that can be read") from error
    if not isinstance(server, str) or not server.startswith("https://"):
        raise ClusterError("the cluster's kube-public/cluster-info names no https server")
    return server, ca


async def publish(client: Client, server: str, ca: bytes, cluster: ClusterFile) -> None:
    """Both ConfigMaps as they should be; signatures are the signer's."""
    await _put(client, PUBLIC, INFO, {CONTENT: kubeconfig_of(server, ca)}, keep=True)
    await _put(client, "kube-system", NODE_CONFIG, {NODE_KEY: node_part(cluster)}, keep=False)


def node_part(cluster: ClusterFile) -> str:
    """Nothing of the server's: its options may hold passwords."""
    tree = msgspec.to_builtins(cluster)
    text: str = yaml.safe_dump({key: tree[key] for key in ("kind", "name", "networking", "node")}, sort_keys=False)
    return text


def read_node_part(text: str) -> ClusterFile:
    """Raises ClusterError."""
    try:
        return parse(text, f"kube-system/{NODE_CONFIG}")[0]
    except ClusterFileError as error:
        raise ClusterError(f"the cluster's configuration for nodes does not fit this version: {error}") from error


async def _put(client: Client, namespace: str, name: str, data: dict[str, str], *, keep: bool) -> None:
    try:
        await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace), data=data))
    except AlreadyExists:
        known: Any = await client.get(core_v1.ConfigMap, name, namespace)
        wanted = {**known.data, **data} if keep else data
        if known.data != wanted:
            known.data = wanted
            await client.update(known)
