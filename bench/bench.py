"""What the rows share: the server under test, filled once and only when a row asks for it, and load on it.

API rows run against one server in the default configuration. It holds 5,000 Pods on 100 nodes whose leases are kept fresh, so that
no controller has reason to touch them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bareboat.models.protobuf import MAGIC
from bench import objects
from bench.connection import Connection, Refused, send_all
from bench.load import NAME, Loaded, unique, wrk
from bench.multiplexed import h2load
from bench.objects import GROUPS, NAMESPACE
from bench.row import Measured
from bench.server import OwnServer, cpu_seconds
from bench.wire import PLAIN, Wire

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
WRITES = "/api/v1/namespaces/bench-writes"
ADMIN = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@dataclass
class Bench:
    """``own`` is None when the benchmark aims at a server that somebody else runs."""

    folder: Path
    seconds: float
    url: str = ""
    token: str = ""
    own: OwnServer | None = None
    source: Path | None = None
    controllers: str | None = None
    filled: int = 0
    wire: Wire = PLAIN
    _over: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Thread | None = None

    @property
    def foreign(self) -> bool:
        """Whether the server is one that somebody else runs."""
        return bool(self.url) and self.own is None

    def fresh(self, name: str) -> OwnServer:
        """Another server, not started, with a folder of its own."""
        where = {"source": self.source} if self.source else {}
        return OwnServer(self.folder / name, controllers=self.controllers, **where)

    def ready(self) -> None:
        """The shared server is up and has what the rows need."""
        if self.token:
            if not self.filled:
                asyncio.run(self._fill())
            return
        self.own = self.fresh("shared")
        self.own.start()
        self.url, self.token = self.own.url, asyncio.run(token_of(self.own))
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        self.filled = 5000
        await namespaces(self.url, self.token)
        await send_all(self.url, self.token, _nodes(GROUPS))
        self._beating = threading.Thread(target=self._heartbeats, daemon=True)
        self._beating.start()
        await send_all(self.url, self.token, pods(self.filled))
        await send_all(self.url, self.token, [("POST", f"{WRITES}/configmaps", objects.body(objects.config_map("watched")))])

    def _heartbeats(self) -> None:
        """Every node's lease, every ten seconds, as kubelets do."""
        while not self._over.is_set():
            asyncio.run(send_all(self.url, self.token, _leases(GROUPS), 1, "application/merge-patch+json"))
            self._over.wait(10)

    def call(self, method: str, path: str, tree: Any = None) -> Any:
        async def once() -> Any:
            async with Connection(self.url, self.token) as connection:
                return await connection.json(method, path, tree)

        return asyncio.run(once())

    def load(
        self, path: str, clients: int, *, method: str = "GET", tree: Any = None, body: str = "", content_type: str = "", cycle: int = 0
    ) -> Measured:
        """Load over the wire that is measured, on the shared server, and what a request cost its process.

        ``tree`` is a new object whose name each request makes its own; ``body`` goes as it is, with NAME in it another in each request.
        ``@NUMBER@`` in the path is one of ``cycle`` numbers.
        """
        self.ready()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": self.wire.accept}
        if method != "GET":
            headers["Content-Type"] = content_type or self.wire.media_type
        over = self._http2 if self.wire.protocol == "http2" else self._http1
        found, cpu = self.spent(lambda: over(self.url + path, clients, method, tree, body, headers, cycle))
        return Measured(found.per_second, cpu, f"p50 {found.p50:.2f} ms, p99 {found.p99:.1f} ms{self._answers(path, method)}")

    def _http1(self, url: str, clients: int, method: str, tree: Any, body: str, headers: dict[str, str], cycle: int) -> Loaded:
        data = self.wire.body(objects.named(tree, NAME)) if tree else body.encode()
        return wrk(url, clients=clients, seconds=self.seconds, headers=headers, method=method, body=data, cycle=cycle)

    def _http2(self, url: str, clients: int, method: str, tree: Any, body: str, headers: dict[str, str], cycle: int) -> Loaded:
        data = self.wire.body(objects.named(tree, "", f"{unique()}-")) if tree else body.replace(NAME, unique()).encode()
        paths = [url.replace("@NUMBER@", str(number)) for number in range(cycle)]
        return h2load(url, clients=clients, seconds=self.seconds, headers=headers, method=method, body=data, paths=paths)

    def _answers(self, path: str, method: str) -> str:
        """What there is to be said of the answers' form."""
        if self.wire.encoding == "json":
            return ""
        return ", answers in protobuf" if asyncio.run(self._protobuf()) else ", answers in JSON"

    async def _protobuf(self) -> bool:
        """Whether the server answers so when asked to."""
        async with Connection(self.url, self.token) as connection:
            return (await connection.request("GET", "/api/v1/namespaces/default", accept=self.wire.accept)).startswith(MAGIC)

    def spent(self, run: Callable[[], Loaded]) -> tuple[Loaded, float | None]:
        before = cpu_seconds(self.own.pid) if self.own else 0.0
        found = run()
        return found, (cpu_seconds(self.own.pid) - before) / max(found.requests, 1) if self.own else None

    def close(self) -> None:
        self._over.set()
        if self._beating is not None:
            self._beating.join()
        if self.own is not None:
            self.own.stop()


def pods(count: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(count):
        yield "POST", PODS, objects.body(objects.pod(f"pod-{number}", number % GROUPS))


def _nodes(count: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(count):
        yield "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", objects.body(_beat(number))
        yield "POST", "/api/v1/nodes", objects.body(objects.node(f"node-{number}"))


def _leases(count: int) -> Iterator[tuple[str, str, bytes]]:
    for number in range(count):
        change = {"spec": {"renewTime": _beat(number)["spec"]["renewTime"]}}
        yield "PATCH", f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-{number}", objects.body(change)


def _beat(number: int) -> dict[str, Any]:
    tree = objects.lease(f"node-{number}")
    tree["spec"]["renewTime"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return tree


async def token_of(server: OwnServer) -> str:
    """A token of a service account that may do everything, as a client in a pod would have."""
    accounts = "/api/v1/namespaces/kube-system/serviceaccounts"
    async with Connection(server.url, certificate=server.certificate) as connection:
        if not any(a["metadata"]["name"] == "bench" for a in (await connection.json("GET", accounts))["items"]):
            await connection.json("POST", accounts, {"metadata": {"name": "bench"}})
            await connection.json("POST", ADMIN, _administrator())
        asked = {"spec": {"expirationSeconds": 86400}}
        answer = await connection.json("POST", f"{accounts}/bench/token", asked)
        return str(answer["status"]["token"])


def _administrator() -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": "bench", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    return {"metadata": {"name": "bench"}, "roleRef": role, "subjects": [subject]}


async def namespaces(url: str, token: str) -> None:
    """The benchmark's namespaces, with the service account without which no Pod is admitted."""
    async with Connection(url, token) as connection:
        for name in (NAMESPACE, "bench-writes", "bench-watch"):
            await connection.json("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for name in (NAMESPACE, "bench-writes", "bench-watch"):
            async with asyncio.timeout(30):
                while not await _has_account(connection, name):
                    await asyncio.sleep(0.05)


async def _has_account(connection: Connection, namespace: str) -> bool:
    try:
        await connection.json("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        await connection.json("GET", f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")
    except Refused:
        return False
    return True
