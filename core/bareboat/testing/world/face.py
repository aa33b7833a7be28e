"""A world's HTTPS endpoint, on the loopback address, with a kubeconfig: for clients in other languages, processes and event loops.

In: the control plane. Out: a URL and a kubeconfig of an administrator. It is the server's own face, without what needs a kubelet: exec,
attach and port-forward are not offered; logs are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bareboat.auth.authenticators import AuthenticatorChain, CertificateAuthenticator
from bareboat.auth.tokens import ISSUER
from bareboat.client import kubeconfig
from bareboat.cluster.edge import made_edge
from bareboat.cluster.file.shape import Server
from bareboat.cluster.metrics import LoopLag, ServerMetrics
from bareboat.cluster.pki.authority import Authority as CertificateAuthority
from bareboat.server.agents import Agents
from bareboat.server.app import App
from bareboat.server.apps import Apps
from bareboat.server.connector import Connector
from bareboat.server.health import Health
from bareboat.server.listening import Listener
from bareboat.server.shell import Shell
from bareboat.store.errors import StoreFailed
from bareboat.testing.world.plane import Plane

LOOPBACK = "127.0.0.1"


class Face:
    """``start`` once; ``stop`` at the end."""

    def __init__(self, plane: Plane, directory: Path) -> None:
        self._plane = plane
        self._pki = CertificateAuthority(directory / "pki", plane.clock, common_name="bareboat-world")
        self.kubeconfig = directory / "kubeconfig"
        self.url = ""

    async def start(self, port: int) -> None:
        """Raises OSError when the port is taken."""
        plane, service = self._plane, self._plane.kernel.service
        kubelet = self._pki.client("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        self._connector = Connector(Agents(plane.kernel.reader, kubelet.certificate, kubelet.key, self._pki.pair.certificate))
        lag = LoopLag(plane.clock)
        shell = Shell(plane.keys.jwks, ISSUER, ServerMetrics(plane.kernel.log, service.requests, lag).render, self._paths)
        chain = AuthenticatorChain([CertificateAuthenticator(), *plane.authenticators()])
        edge = made_edge(service, plane.kernel.reader, plane.clock, plane.kernel.ids, Server())
        authority: Any = plane.kernel.authority
        app = App(service, chain, authority, Health(), self._connector, shell, edge, Apps(plane.apps()))
        names = ["localhost", LOOPBACK, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        serving = self._pki.serving("server", "kube-apiserver", names)
        ca = self._pki.pair.certificate
        self._listener = Listener(app, certificate=serving.certificate, key=serving.key, client_ca=ca, immediate=app.immediate)
        found = await self._listener.start(LOOPBACK, port)
        self.url = f"https://{LOOPBACK}:{found}"
        admin = self._pki.client("admin", "kubernetes-admin", ("system:masters",))
        kubeconfig.write(
            self.kubeconfig,
            server=self.url,
            ca=self._pki.certificate_pem,
            certificate=admin.certificate_pem,
            key=admin.key_pem,
            cluster="world",
        )

    async def stop(self) -> None:
        self._plane.faults.airwaves.fail_all(StoreFailed("the world ends"))
        await self._listener.stop(grace=0.3)
        await self._connector.close()

    def _paths(self) -> list[str]:
        groups = {r.path_prefix for r in self._plane.kernel.scheme.resources()}
        return sorted({"/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version", *groups})
