"""Who an agent is: its client certificate in a kubeconfig of its own, and its serving certificate. Both are renewed while it runs.

On the machine of the server the cluster's CA issues the first ones; a machine that joined has what it was given then (``joining``).
Either way the agent asks for the next client certificate as the node that it is. ::

    DATA/nodes/NAME/kubeconfig        the client certificate, 0600
    DATA/nodes/NAME/serving.crt .key  of a machine that joined
    DATA/nodes/NAME/ca.crt            the same: whom to let in
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.client.https import HttpsTransport
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.joining.certificates import client_certificate, serving_certificate
from bareboat.cluster.joining.renewal import Renewal
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import Authority, Pair
from bareboat.cluster.pki.rotation import Rotation
from bareboat.cluster.state import write_private
from bareboat.models.scheme import Scheme

log = logging.getLogger("bareboat.agent")


class NodeIdentity:
    """Of the nodes of one agent process. ``separate``: the nodes have network namespaces of their own."""

    def __init__(self, layout: Layout, nodes: Sequence[str], address: str, clock: Clock, ids: Ids, *, separate: bool) -> None:
        """Raises ClusterError when there is no cluster to be of."""
        self._layout = layout
        self._nodes = list(nodes)
        self._address = address
        self._clock = clock
        self._ids = ids
        self._rotation = Rotation(clock)
        self._runs: list[Callable[[], Any]] = [self._rotation.run]
        self._transports: dict[str, HttpsTransport] = {}
        self._pki: Authority | None = None
        if (layout.data_dir / "server" / "pki" / "ca.key").exists() and layout.kubeconfig.exists():
            self._pki = Authority(layout.pki, clock)
            self._server = _server_of(layout, separate)
        elif not all(layout.node_kubeconfig(node).exists() for node in nodes):
            raise ClusterError(f"no cluster in {layout.data_dir}: start a server with the same --data-dir first, or `bareboat join` one")

    @property
    def client_ca(self) -> Path:
        """Who may speak to the agent has a certificate of this CA."""
        return self._layout.node(self._nodes[0]) / "ca.crt" if self._pki is None else self._pki.pair.certificate

    def serving(self) -> Pair:
        first = self._nodes[0]
        if self._pki is None:
            return Pair(self._layout.node(first) / "serving.crt", self._layout.node(first) / "serving.key")
        names = [*self._nodes, self._address]
        return self._pki.serving(f"agent-{first}", f"system:node:{first}", names, ("system:nodes",))

    def transport(self, node: str) -> HttpsTransport:
        path = self._layout.node_kubeconfig(node)
        if self._pki is not None:
            pair = self._pki.client(f"node-{node}", f"system:node:{node}", ("system:nodes",))
            ca = self._pki.certificate_pem
            write_kubeconfig(path, node, self._server, ca, pair.certificate_pem, pair.key_pem)
        found = self._transports[node] = kubeconfig.load(path, user_agent=f"kubelet/bareboat ({node})")
        return found

    def storage(self, node: str, part: str) -> HttpsTransport | None:
        """For the controllers of storage drivers (``part`` storage or buckets); only where the cluster's CA is at hand."""
        if self._pki is None:
            log.warning("node %s joined from elsewhere: its drivers for %s make none", node, "volumes" if part == "storage" else part)
            return None
        return self._part(self._pki, node, part)

    def network_policy(self, node: str) -> HttpsTransport | None:
        """For the part that reads the pods of all nodes; None: that part is nothing but the node."""
        return None if self._pki is None else self._part(self._pki, node, "network-policy")

    def _part(self, pki: Authority, node: str, part: str) -> HttpsTransport:
        """A part of the agent as a user of its own, in the group of such parts."""
        user = f"system:bareboat:{part}:{node}"
        pair = pki.client(f"{part}-{node}", user, (f"system:bareboat:{part}",))
        path = self._layout.node(node) / f"{part}.kubeconfig"
        write_kubeconfig(path, user, self._server, pki.certificate_pem, pair.certificate_pem, pair.key_pem)
        return kubeconfig.load(path, user_agent=f"bareboat-{part} ({node})")

    def renewals(self, reload: Callable[[], None]) -> list[Callable[[], Any]]:
        """Loops that keep the certificates good; ``reload`` lets the agent's listener read its files again."""
        self._rotation.keep("serving", self.serving, reload, self.client_ca)
        for node, transport in self._transports.items():
            client = Client(transport, Scheme.builtin())
            self._runs.append(self._client_renewal(node, transport, client).run)
            if self._pki is None and node == self._nodes[0]:
                self._runs.append(self._serving_renewal(node, client).run)
        return self._runs

    def _client_renewal(self, node: str, transport: HttpsTransport, client: Client) -> Renewal:
        path = self._layout.node_kubeconfig(node)

        def install(key: bytes, certificate: bytes) -> None:
            _, _, server, ca = kubeconfig.credentials(path)
            write_kubeconfig(path, node, server, ca, certificate, key)
            kubeconfig.renew(transport, path)

        return Renewal(
            f"of node {node}",
            lambda: kubeconfig.credentials(path)[0],
            lambda: client_certificate(client, node, self._ids),
            install,
            self._clock,
            self._ids,
        )

    def _serving_renewal(self, node: str, client: Client) -> Renewal:
        pair = self.serving()

        def install(key: bytes, certificate: bytes) -> None:
            write_private(pair.key, key)
            write_private(pair.certificate, certificate)

        return Renewal(
            f"serving of node {node}",
            lambda: pair.certificate_pem,
            lambda: serving_certificate(client, node, self._ids),
            install,
            self._clock,
            self._ids,
        )


def write_kubeconfig(path: Path, node: str, server: str, ca: bytes, certificate: bytes, key: bytes) -> None:
    kubeconfig.write(path, server=server, ca=ca, certificate=certificate, key=key, user=node)


def _server_of(layout: Layout, separate: bool) -> str:
    """The server's URL; a node in a network namespace of its own goes through the advertised address."""
    if separate:
        return (layout.data_dir / "server" / "advertised").read_text().strip()
    return kubeconfig.credentials(layout.kubeconfig)[2]
