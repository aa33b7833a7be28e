"""A cluster of several machines, for tests: a server that was prepared, nodes that joined it, and ways to come to it as somebody else."""

import base64
import json
import socket
import ssl
import urllib.error
import urllib.request

import yaml

from bareboat.cluster.pki.authority import request as signing_request
from tests.conftest import BAREBOAT, Cluster, run

FAKE = "name: attacked\nnode: {runtimes: [{use: fake}], network: {use: fake}, proxy: {use: fake}, networkPolicy: null}\n"
RBAC = "rbac.authorization.k8s.io"


def free_port():
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


class Site(Cluster):
    """A server that was prepared with ``init`` and two nodes that joined."""

    def __init__(self, directory):
        super().__init__(directory / "server")
        self.directory = directory
        config = directory / "cluster.yaml"
        config.write_text(FAKE)
        words = ["init", "--config", str(config), "--port", str(free_port()), "--start", "--output", "json"]
        self.prepared = json.loads(self.bareboat(*words).stdout)
        self.endpoint, self.token, self.pin = (self.prepared[key] for key in ("endpoint", "token", "caCertHash"))
        for name in ("w1", "w2"):
            self.join(name)

    def join(self, name, *, token="", pin="", check=True):
        words = ["join", self.endpoint, "--token", token or self.token, "--ca-cert-hash", pin or self.pin]
        return run(*BAREBOAT, *words, "--node", name, "--data-dir", str(self.directory / name), check=check)

    def node(self, name):
        """kubectl as that node."""

        def kubectl(*words, check=False, **options):
            return self.kubectl("--kubeconfig", str(self.directory / name / "nodes" / name / "kubeconfig"), *words, check=check, **options)

        return kubectl

    def http(self, path, token="", headers=None):
        """Status and body of a GET without a certificate."""
        context = ssl.create_default_context(cadata=(self.data_dir / "server" / "pki" / "ca.crt").read_text())
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"https://{self.endpoint}{path}", headers=headers), context=context
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def apply(self, *trees):
        self.kubectl("apply", "-f", "-", input="---\n".join(yaml.safe_dump(tree) for tree in trees))

    def may(self, user, *rules, namespace=""):
        """Rules for a user, everywhere or in a namespace."""
        role = {"kind": "ClusterRole", "apiVersion": f"{RBAC}/v1", "metadata": {"name": f"of-{user}"}, "rules": list(rules)}
        kind = {
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": f"of-{user}", **({"namespace": namespace} if namespace else {})},
        }
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"of-{user}"}
        self.apply(
            role, {**kind, "apiVersion": f"{RBAC}/v1", "roleRef": reference, "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}]}
        )

    def ask(self, kubectl, name, signer, common_name, organizations, names=(), usages=("digital signature", "client auth")):
        _, pem = signing_request(common_name, organizations, names)
        spec = {"request": base64.b64encode(pem).decode(), "signerName": f"kubernetes.io/{signer}", "usages": list(usages)}
        tree = {"kind": "CertificateSigningRequest", "apiVersion": "certificates.k8s.io/v1", "metadata": {"name": name}, "spec": spec}
        return kubectl("create", "-f", "-", check=False, input=yaml.safe_dump(tree))

    def decided(self, name):
        return self.get("csr", name).get("status", {})
