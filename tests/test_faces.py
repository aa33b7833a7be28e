"""Clusters over parts of others: a network of CNI binaries, a containerd behind its CRI socket."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from bareboat.testing import oci, registry
from tests.conftest import Cluster, run

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
BINARIES = Path("/usr/lib/cni")
NETWORK = {
    "name": "pods-{instance}",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "b{instance}",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
SERVER = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: IMAGE
    command: [sh, -c, 'echo started; mkdir -p /tmp/w; hostname > /tmp/w/index.html; exec HTTPD -f -p 8080 -h /tmp/w']
    readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
    livenessProbe: {exec: {command: [cat, /tmp/w/index.html]}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
"""


def started(directory, name, node):
    """A cluster whose node is made of these parts."""
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(directory / "cluster")
    file = directory / "cluster.yaml"
    file.write_text(json.dumps({"kind": "Cluster", "name": name, "node": node}))
    found.bareboat("up", "--config", str(file), "--port", "0")
    return found


def a_service_answers(cluster, image, tools=""):
    """The address of a Service before a ready pod, as seen from the node."""
    cluster.kubectl("apply", "-f", "-", input=SERVER.replace("IMAGE", image).replace("HTTPD", f"{tools}httpd"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=90s")
    url = f"http://{cluster.get('service/server')['spec']['clusterIP']}/"

    def answer():
        return run("curl", "-s", "-m", "2", url, check=False).stdout

    assert cluster.until(answer, 30) == "server\n"
    return url


def test_a_service_reaches_a_pod_over_cni_binaries(tmp_path):
    if not (BINARIES / "bridge").exists():
        pytest.skip("needs containernetworking-plugins")
    network = {"use": "exec", "options": {"config": NETWORK, "binDir": str(BINARIES)}}
    cluster = started(tmp_path, "cni", {"network": network})
    try:
        url = a_service_answers(cluster, "host", "busybox ")
        assert cluster.kubectl("exec", "server", "--", "curl", "-s", "-m", "5", url).stdout == "server\n"
    finally:
        cluster.bareboat("down", "--purge")


@pytest.fixture
def containerd(tmp_path):
    from bareboat_cri_grpc import testing

    if testing.missing() or registry.missing() or os.geteuid() != 0:
        pytest.skip(f"needs root {testing.missing()} {registry.missing()}")
    with testing.Containerd(tmp_path / "containerd") as found, registry.Registry(tmp_path / "registry") as images:
        tools = ("sh", "cat", "echo", "hostname", "httpd", "mkdir", "sleep")
        image = oci.build([[*oci.busybox(*tools), ("tmp", None), ("etc", None)]])
        asyncio.run(oci.push(images.url, "tools", "1", image))
        yield str(found.socket), f"{images.host}/tools:1"


def test_pods_run_on_a_containerd(tmp_path, containerd):
    socket, image = containerd
    cluster = started(tmp_path, "containerd", {"runtimes": [{"use": "grpc", "options": {"socket": socket}}]})
    try:
        a_service_answers(cluster, image)
        assert cluster.get("nodes")["items"][0]["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
        assert cluster.kubectl("logs", "server").stdout == "started\n"
        assert cluster.kubectl("exec", "server", "--", "cat", "/tmp/w/index.html").stdout == "server\n"
        assert cluster.kubectl("exec", "server", "--", "sh", "-c", "exit 7", check=False).returncode == 7
        assert cluster.get("pod/server")["status"]["containerStatuses"][0]["restartCount"] == 0
        cluster.kubectl("delete", "pod", "--all", "--timeout=60s")
    finally:
        cluster.bareboat("down", "--purge")
