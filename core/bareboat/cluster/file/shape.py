"""The shape of the cluster file. Every Struct refuses unknown fields; every default is what ``bareboat up`` uses without a file.

kind: Cluster
name: demo
server: {address: 0.0.0.0, port: 6443}
networking: {podCIDR: 10.244.0.0/16, serviceCIDR: 10.96.0.0/16, nodePorts: 30000-32767}
store: {use: sqlite}
encryption: {file: /etc/bareboat/encryption.yaml}
node:
  runtimes: [{use: process}]
  network: {use: bridge}
  proxy: {use: nftables}
  networkPolicy: {use: nftables}
  storage: [{use: local}]
plugins: [{use: rbac}, {use: sched-policies}, {use: admission-builtin}]
authorization: [node, rbac]
scheduling: [{use: least-allocated, weight: 1}, {use: balanced-allocation, weight: 1}]
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec

#: Runtimes for a cluster without a file: the first that is installed.
RUNTIMES = ("process", "docker")
#: Storage for a cluster without a file, if it is installed: the driver, and the plugin with its StorageClasses.
STORAGE, STORAGE_OBJECTS = "local", "csi-local"
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Use(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plugin by name. ``dist`` pins the distribution it must come from; ``options`` are the plugin's own.

    ``isolate`` runs a network, proxy, packet filter, storage or bucket driver in a process of its own; nothing else can be isolated.
    """

    use: str
    dist: str = ""
    options: dict[str, Any] = {}
    isolate: bool = False


class Runtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A runtime plugin; ``handler`` is the RuntimeClass handler it serves besides being the default ("" = default only)."""

    use: str
    dist: str = ""
    options: dict[str, Any] = {}
    handler: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``address`` to listen on, ``port`` (0 = any free one), ``names`` further names and addresses for the certificate.

    ``allowPrivileged``: containers may ask for privileged mode (upstream's ``--allow-privileged``). Left out, ``up`` allows it, as
    clusters do in which network and storage drivers run as pods, and a lone ``server`` does not, as upstream's API server.
    ``eventTTL``: how long Events are kept (``90s``, ``30m``, ``1h``).

    ``maxRequestsInflight`` and ``maxMutatingRequestsInflight`` together are the seats that priority and fairness shares out.
    ``requestTimeout``: seconds for a request that is not long-running. ``maxConnections``: 0 is as many as the process may have
    files. ``shutdownDelay``: seconds between saying "not ready" and taking no more requests when the server is stopped.
    """

    address: str = "0.0.0.0"  # noqa: S104  pods and other nodes must reach it; TLS and RBAC guard it
    port: Port = 6443
    names: list[str] = []
    allowPrivileged: bool | None = None
    eventTTL: str = "1h"
    maxRequestsInflight: Annotated[int, msgspec.Meta(ge=1)] = 400
    maxMutatingRequestsInflight: Annotated[int, msgspec.Meta(ge=0)] = 200
    requestTimeout: Annotated[float, msgspec.Meta(gt=0)] = 60
    maxConnections: Annotated[int, msgspec.Meta(ge=0)] = 0
    shutdownDelay: Annotated[float, msgspec.Meta(ge=0)] = 0


class AuditLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log of audit events. ``maxSize`` in megabytes; ``maxAge`` in days and ``maxBackups`` in files, 0: no bound."""

    path: str
    maxSize: Annotated[int, msgspec.Meta(ge=1)] = 100
    maxAge: Annotated[int, msgspec.Meta(ge=0)] = 30
    maxBackups: Annotated[int, msgspec.Meta(ge=0)] = 10
    compress: bool = False


class AuditWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that takes audit events in batches; ``kubeconfig`` says where it is. Times in seconds."""

    kubeconfig: str
    bufferSize: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    maxBatchSize: Annotated[int, msgspec.Meta(ge=1)] = 400
    maxBatchWait: Annotated[float, msgspec.Meta(gt=0)] = 30
    throttleQPS: Annotated[float, msgspec.Meta(gt=0)] = 10
    throttleBurst: Annotated[int, msgspec.Meta(ge=1)] = 15
    initialBackoff: Annotated[float, msgspec.Meta(gt=0)] = 10


class Audit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is recorded is in the ``policy`` file (audit.k8s.io/v1); without one nothing is. It goes to ``log``, ``webhook`` or both."""

    policy: str = ""
    log: AuditLog | None = None
    webhook: AuditWebhook | None = None


class Networking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``podCIDR`` is cut into one /24 per node. ``nodePorts`` is the range of Service node ports."""

    podCIDR: str = "10.244.0.0/16"
    serviceCIDR: str = "10.96.0.0/16"
    nodePorts: Annotated[str, msgspec.Meta(min_length=3)] = "30000-32767"
    domain: str = "cluster.local"


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every node loads. The first runtime is the default. ``storage`` are the storage drivers, ``buckets`` the object stores.

    ``networkPolicy: null``: NetworkPolicies are kept, not enforced. ``plugins``: hook plugins whose services every node runs.
    """

    runtimes: list[Runtime] = msgspec.field(default_factory=lambda: [Runtime(use="process")])
    network: Use = Use(use="bridge")
    proxy: Use = Use(use="nftables")
    networkPolicy: Use | None = Use(use="nftables")
    storage: list[Use] = []
    buckets: list[Use] = []
    plugins: list[Use] = []
    labels: dict[str, str] = {}
    maxPods: Annotated[int, msgspec.Meta(ge=1)] = 110


class NodeSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What some nodes load instead of what ``node`` says. ``names`` are patterns (``gpu-*``); the first set with one that fits counts.

    What is left out is as in ``node``; ``labels`` and ``plugins`` come on top of those there.
    """

    names: Annotated[list[str], msgspec.Meta(min_length=1)]
    runtimes: list[Runtime] = []
    network: Use | None = None
    proxy: Use | None = None
    storage: list[Use] = []
    buckets: list[Use] = []
    plugins: list[Use] = []
    labels: dict[str, str] = {}
    maxPods: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def over(self, node: Node) -> Node:
        """The node's part of the file, for nodes of this set."""
        own = {name: value for name in ("runtimes", "network", "proxy", "storage", "buckets", "maxPods") if (value := getattr(self, name))}
        return msgspec.structs.replace(node, **own, labels={**node.labels, **self.labels}, plugins=[*node.plugins, *self.plugins])


class Encryption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seals what the store keeps. ``file`` is an EncryptionConfiguration, mode 0600, with providers aesgcm and identity; left out,
    ``DATA/server/encryption.yaml``, which is made with a new key for Secrets when it is not there and nothing is stored yet."""

    file: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scheduling policy that an enabled plugin contributes, and its weight."""

    use: str
    weight: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1


class Authentication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authenticator of the kernel or of an enabled plugin by name; ``options`` are for those of the kernel."""

    use: str
    options: dict[str, Any] = {}


class ClusterFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. ``plugins`` enables hook plugins; the lists after it order and weigh what they contribute.

    ``controllers``: names, ``*`` for all, ``-name`` for all but that one; the scheduler is one of them (``scheduler``). An empty
    list is an API server alone.
    """

    kind: Literal["Cluster"] = "Cluster"
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=30)] = "bareboat"
    server: Server = Server()
    audit: Audit = Audit()
    networking: Networking = Networking()
    store: Use = Use(use="sqlite")
    encryption: Encryption | None = None
    node: Node = Node()
    nodes: list[NodeSet] = []
    plugins: list[Use] = msgspec.field(default_factory=lambda: [Use(use="rbac"), Use(use="sched-policies"), Use(use="admission-builtin")])
    authentication: list[str | Authentication] = []
    authorization: list[str] = msgspec.field(default_factory=lambda: ["node", "rbac"])
    admission: list[str] = []
    controllers: list[str] = msgspec.field(default_factory=lambda: ["*"])
    scheduling: list[Policy] = msgspec.field(default_factory=lambda: [Policy(use="least-allocated"), Policy(use="balanced-allocation")])


def fake(name: str = "bareboat") -> ClusterFile:
    """The cluster of ``bareboat up --fake``: nodes as data, no root."""
    node = Node(runtimes=[Runtime(use="fake")], network=Use(use="fake"), proxy=Use(use="fake"), networkPolicy=None)
    return ClusterFile(name=name, node=node)


def node_of(cluster: ClusterFile, name: str) -> Node:
    """What the node of that name loads."""
    found = next((s for s in cluster.nodes if any(fnmatchcase(name, pattern) for pattern in s.names)), None)
    return cluster.node if found is None else found.over(cluster.node)
