"""Several nodes on one machine: stopped, started, added, removed; what runs on them moves and comes back."""

import json
import os
import urllib.request

import pytest

from bareboat.cluster.layout import Layout
from tests.conftest import Cluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers: [{name: c, image: host, command: [python3, -m, http.server, '80']}]
"""


@pytest.fixture
def three(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(tmp_path / "three")
    found.bareboat("up", "--port", "0", "--nodes", "3")
    yield found
    found.bareboat("down", "--purge", check=False)


def nodes(cluster):
    return {n["name"]: n for n in json.loads(cluster.bareboat("node", "list", "-o", "json").stdout)}


def running(cluster):
    """Of the Deployment, those that are not leaving: pod name → node."""
    pods = [p for p in cluster.get("pods", "-l", "app=web")["items"] if "deletionTimestamp" not in p["metadata"]]
    return {p["metadata"]["name"]: p["spec"].get("nodeName") for p in pods if p["status"]["phase"] == "Running"}


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pods_leave_a_stopped_node_and_it_is_reconciled_when_it_returns(three):
    three.kubectl("create", "-f", "-", input=WEB)
    three.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    before = running(three)
    assert set(before.values()) == {"n1", "n2", "n3"}
    for pod in three.get("pods", "-l", "app=web")["items"]:  # this machine reaches the pods of every node
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}/", timeout=5) as answer:
            assert answer.status == 200
        path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}:80/proxy/"
        assert "Directory listing" in three.kubectl("get", "--raw", path).stdout
    lost = next(name for name, node in before.items() if node == "n2")
    three.bareboat("node", "stop", "n2")
    assert nodes(three)["n2"]["agent"] == "stopped"
    three.until(lambda: nodes(three)["n2"]["state"] == "NotReady", 50)
    three.until(lambda: len(running(three)) == 3 and "n2" not in running(three).values(), 30)
    assert lost in three.kubectl("get", "pods", "-o", "name").stdout  # nobody could tell that its containers are gone
    three.bareboat("node", "start", "n2")
    assert nodes(three)["n2"]["state"] == "Ready"
    three.until(lambda: lost not in three.kubectl("get", "pods", "-o", "name").stdout, 30)
    three.kubectl("scale", "deployment/web", "--replicas=6")
    three.until(lambda: list(running(three).values()).count("n2") >= 1, 30)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_node_is_added_and_removed_without_a_trace(three):
    added = three.bareboat("node", "add", "-o", "json")
    assert [n["name"] for n in json.loads(added.stdout)] == ["n1", "n2", "n3", "n4"]
    made = nodes(three)["n4"]
    assert (made["state"], made["agent"]) == ("Ready", "running")
    (owner,) = three.get("lease", "n4", "-n", "kube-node-lease")["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Node", "name": "n4", "uid": three.get("node", "n4")["metadata"]["uid"]}
    three.bareboat("up", "--port", "0")  # keeps what there is
    assert set(nodes(three)) == {"n1", "n2", "n3", "n4"}
    three.bareboat("node", "remove", "n4")
    assert set(nodes(three)) == {"n1", "n2", "n3"}
    assert "n4" not in three.kubectl("get", "nodes", "-o", "name").stdout
    three.until(lambda: "n4" not in three.kubectl("get", "leases", "-n", "kube-node-lease", "-o", "name").stdout, 30)
    routes = three.host("ip", "route")
    assert made["podCIDR"] not in routes
    assert nodes(three)["n3"]["podCIDR"] in routes
    assert f"{Layout(three.data_dir).instance()}-n4" not in three.host("ip", "netns", "list")
    assert not (three.data_dir / "nodes" / "n4").exists()


@pytest.mark.timeout(120)
def test_fake_nodes_are_stopped_and_started_one_by_one(fake_cluster):
    fake_cluster.bareboat("node", "stop", "n2")
    found = nodes(fake_cluster)
    assert [found[n]["agent"] for n in ("n1", "n2", "n3")] == ["running", "stopped", "running"]
    fake_cluster.bareboat("node", "start", "n2")
    fake_cluster.bareboat("node", "add", "extra")
    assert nodes(fake_cluster)["extra"]["state"] == "Ready"
    fake_cluster.bareboat("node", "remove", "n1")
    assert set(nodes(fake_cluster)) == {"n2", "n3", "extra"}
    refused = fake_cluster.bareboat("node", "stop", "n9", check=False)
    assert (refused.returncode, "no node n9; there are: n2, n3, extra" in refused.stderr) == (1, True)


def test_status_shows_components_store_loop_nodes_and_plugins(fake_cluster):
    found = json.loads(fake_cluster.bareboat("status", "-o", "json").stdout)
    assert found["reachable"]
    assert [c["component"] for c in found["components"]] == ["server", "agent n1", "agent n2", "agent n3"]
    assert found["store"]["revision"] > 0
    assert found["store"]["objects"] > 0
    assert found["store"]["bytes"] > 0
    assert found["loopLagWorst"] >= found["loopLag"] >= 0
    assert {n["state"] for n in found["nodes"]} == {"Ready"}
    assert {"name": "sqlite", "contract": "bareboat.store.v1"}.items() <= found["plugins"][0].items()
    text = fake_cluster.bareboat("status").stdout
    for word in ("Cluster fake: well", "Store: ", "Event loop: ", "n1, n2, n3"):
        assert word in text
