"""A cluster whose nodes are joined by the overlay network."""

import pytest

from tests.conftest import Cluster
from tests.test_services import SAY_NAME, apply, ask, pod

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


def test_pods_of_two_nodes_and_their_service_are_reached_over_the_overlay(tmp_path):
    (tmp_path / "cluster.yaml").write_text("name: overlay\nserver: {port: 0}\nnode: {network: {use: vxlan}}\n")
    cluster = Cluster(tmp_path / "data")
    cluster.bareboat("up", "--config", str(tmp_path / "cluster.yaml"), "--nodes", "2")
    try:
        apply(cluster, pod("server", "n2", ["python3", "-c", SAY_NAME, "8080"], app="server"))
        apply(cluster, pod("client", "n1", ["sleep", "100000"]))
        cluster.kubectl("expose", "pod", "server", "--port=80", "--target-port=8080")
        cluster.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        cluster.until(lambda: ask(cluster, "client", "server", 80) == {"server"})
        assert ask(cluster, "client", cluster.get("pod", "server")["status"]["podIP"], 8080, "udp") == {"server"}
        assert cluster.kubectl("logs", "server").stdout == ""
    finally:
        cluster.bareboat("down", "--purge")
