"""``bareboat join``: from an address, a token and a pin to a node that is Ready, step by step.

Order: find the cluster and prove that it is the right one → a client certificate by the token → what nodes need of the cluster file → a
serving certificate as the node → the agent. The token is never written down. A machine that has its certificates only starts its agent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from bareboat.base.ids import Ids
from bareboat.client import kubeconfig
from bareboat.client.client import Client
from bareboat.client.https import HttpsTransport
from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.file.writing import dump
from bareboat.cluster.joining.certificates import client_certificate, serving_certificate
from bareboat.cluster.joining.discovery import Found, discover
from bareboat.cluster.joining.info import NODE_CONFIG, NODE_KEY, read_node_part
from bareboat.cluster.joining.tokens import checked
from bareboat.cluster.layout import Layout
from bareboat.cluster.node_identity import write_kubeconfig
from bareboat.cluster.nodes import READY_SECONDS, ready
from bareboat.cluster.processes import start
from bareboat.cluster.state import ClusterState, NodeState, write_private
from bareboat.cluster.up import Reporter
from bareboat.models import core_v1
from bareboat.models.names import dns1123_subdomain
from bareboat.models.scheme import Scheme
from bareboat.models.status import ApiError, NotFound


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to join what. ``address`` is HOST:PORT; ``logging`` are options of the agent."""

    address: str
    token: str
    node: str
    pins: list[str]
    node_address: str = ""
    logging: list[str] = []


class Join:
    """One run."""

    def __init__(self, layout: Layout, plan: Plan, ids: Ids) -> None:
        self._layout = layout
        self._plan = plan
        self._ids = ids

    async def run(self, report: Reporter) -> ClusterState:
        """Raises ClusterError, ApiError, StartFailed."""
        self._refuse()
        node = self._plan.node
        if not self._has_everything():
            token_id, secret = checked(self._plan.token)
            with report.step("Cluster found and proven") as step:
                found = await discover(self._plan.address, token_id, secret, self._plan.pins)
                step.detail = found.server
            with report.step("Client certificate issued"):
                cluster = await self._introduce(found)
            with report.step("Serving certificate issued"):
                await self._serving(found)
            write_private(self._layout.cluster_file, dump(cluster))
        with report.step("Agent started"):
            state = await self._start()
        with report.step("Node Ready") as step:
            await self._ready()
            step.detail = node
        return state

    def _refuse(self) -> None:
        node = self._plan.node
        if dns1123_subdomain(node):
            raise ClusterError(f"{node!r} is no name for a node: lower-case letters, digits, dashes and dots; give another with --node")
        if (self._layout.data_dir / "server" / "pki" / "ca.key").exists():
            raise ClusterError(f"{self._layout.data_dir} holds a cluster of its own: join from another --data-dir")
        known = states.load(self._layout)
        if known is not None and any(n.name != node for n in known.nodes):
            raise ClusterError(f"{self._layout.data_dir} holds the node {known.nodes[0].name}: one node per --data-dir")

    def _has_everything(self) -> bool:
        directory = self._layout.node(self._plan.node)
        files = [directory / name for name in ("kubeconfig", "serving.crt", "serving.key", "ca.crt")]
        return all(f.exists() for f in [*files, self._layout.cluster_file])

    async def _introduce(self, found: Found) -> ClusterFile:
        node = self._plan.node
        transport = HttpsTransport(found.server, ca_data=found.ca.decode(), token=self._plan.token, user_agent="bareboat-join")
        try:
            client = Client(transport, Scheme.builtin())
            await self._check_free(client)
            config = await client.get(core_v1.ConfigMap, NODE_CONFIG, "kube-system")
            cluster = read_node_part(config.data.get(NODE_KEY, ""))
            if os.geteuid() != 0 and cluster.node.network.use != "fake":
                raise ClusterError("real containers need root: run it with sudo")
            key, certificate = await client_certificate(client, node, self._ids)
        except ApiError as error:
            raise ClusterError(f"{found.server} refused: {error}") from error
        finally:
            await transport.close()
        write_private(self._layout.node(node) / "ca.crt", found.ca)
        write_kubeconfig(self._layout.node_kubeconfig(node), node, found.server, found.ca, certificate, key)
        return cluster

    async def _check_free(self, client: Client) -> None:
        try:
            known = await client.get(core_v1.Node, self._plan.node)
        except NotFound:
            return
        if ready(known):
            raise ClusterError(f"the cluster has a node {known.metadata.name} that is Ready: choose another name with --node")

    async def _serving(self, found: Found) -> None:
        del found
        node = self._plan.node
        async with self._client() as client:
            key, certificate = await serving_certificate(client, node, self._ids)
        write_private(self._layout.node(node) / "serving.key", key)
        write_private(self._layout.node(node) / "serving.crt", certificate)

    async def _start(self) -> ClusterState:
        server = kubeconfig.credentials(self._layout.node_kubeconfig(self._plan.node))[2]
        state = states.load(self._layout) or ClusterState(name="joined", url=server)
        node = next(iter(state.nodes), None)
        if node is None:
            node = NodeState(name=self._plan.node)
            state.nodes.append(node)
        if not node.alive:
            states.save(self._layout, state)  # before anything starts, so that `down` sweeps what did
            node.process, _ = await start(self._arguments(), self._layout.logs / f"{node.name}.log")
            node.stopped = False
        states.save(self._layout, state)
        return state

    def _arguments(self) -> Sequence[str]:
        words = ["agent", "--data-dir", str(self._layout.data_dir), "--config", str(self._layout.cluster_file), "--node", self._plan.node]
        return [*words, *(["--node-address", self._plan.node_address] if self._plan.node_address else []), *self._plan.logging]

    async def _ready(self) -> None:
        async with self._client() as client:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    while not ready(await client.get(core_v1.Node, self._plan.node)):
                        await asyncio.sleep(0.2)
            except TimeoutError:
                raise ClusterError(f"{self._plan.node} is not Ready after {READY_SECONDS} s; see {self._layout.logs}") from None

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        """As the node."""
        transport = kubeconfig.load(self._layout.node_kubeconfig(self._plan.node))
        try:
            yield Client(transport, Scheme.builtin())
        except ApiError as error:
            raise ClusterError(f"{transport.server} refused: {error}") from error
        finally:
            await transport.close()
