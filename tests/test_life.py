"""A cluster's life: killed and resumed, side by side with others, taken down without a trace, refused when the file is wrong."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BAREBOAT, Cluster, run

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
SLEEPER = """
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: host, command: [sleep, '100000']}]
"""


def pids(data_dir, kind):
    found = subprocess.run(["pgrep", "-f", f"bareboat {kind} --data-dir {data_dir}"], capture_output=True, text=True, check=False).stdout
    return [int(p) for p in found.split()]


def traces(instances):
    """What could be left on the machine, by kind."""
    links = run("ip", "-o", "link").stdout
    tables = run("nft", "list", "tables").stdout
    namespaces = run("ip", "netns", "list").stdout
    mounts = Path("/proc/self/mountinfo").read_text()
    cgroups = [p for p in Path("/sys/fs/cgroup").glob("*/*") if any(i in p.name for i in instances)]
    return {
        "links": sum(links.count(i) for i in instances),
        "tables": sum(tables.count(i) for i in instances),
        "namespaces": sum(namespaces.count(i) for i in instances),
        "mounts": sum(mounts.count(i) for i in instances),
        "cgroups": len(cgroups),
    }


def running(cluster):
    return cluster.get("pods", "-A")["items"] and all(p["status"]["phase"] == "Running" for p in cluster.get("pods")["items"])


@pytest.fixture
def own(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(tmp_path / "own")
    yield found
    found.bareboat("down", "--purge", check=False)


def test_kill_9_of_server_and_agent_loses_nothing_and_pods_keep_running(own):
    own.bareboat("up", "--port", "0")
    own.kubectl("create", "-f", "-", input=SLEEPER)
    own.until(lambda: running(own))
    before = own.get("pod", "sleeper")["status"]["containerStatuses"][0]["containerID"]
    own.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    for kind in ("server", "agent"):
        for pid in pids(own.data_dir, kind):
            os.kill(pid, signal.SIGKILL)
    own.bareboat("up", "--port", "0")
    assert own.get("configmap", "kept")["data"] == {"a": "1"}
    own.until(lambda: running(own))
    status = own.get("pod", "sleeper")["status"]["containerStatuses"][0]
    assert status["containerID"] == before
    assert status["restartCount"] == 0
    assert own.kubectl("exec", "sleeper", "--", "echo", "alive").stdout.strip() == "alive"


def test_down_leaves_no_trace(own):
    own.bareboat("up", "--port", "0")
    from bareboat.cluster.layout import Layout

    instances = [Layout(own.data_dir).instance(), Layout(own.data_dir).instance("n1")]
    own.kubectl("create", "-f", "-", input=SLEEPER)
    own.until(lambda: running(own))
    assert traces(instances)["links"] > 0
    own.bareboat("down", "--purge")
    assert traces(instances) == {"links": 0, "tables": 0, "namespaces": 0, "mounts": 0, "cgroups": 0}
    assert pids(own.data_dir, "") == []
    assert not own.data_dir.exists()


def test_two_nodes_reach_each_other_s_pods(own):
    own.bareboat("up", "--port", "0", "--nodes", "2")
    server = "import socket; s=socket.create_server(('', 80)); \nwhile True: c,a=s.accept(); c.sendall(b'here'); c.close()"
    for node in ("n1", "n2"):
        tree = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"on-{node}"},
            "spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "c", "image": "host", "command": ["python3", "-c", server]}],
            },
        }
        import json

        own.kubectl("create", "-f", "-", input=json.dumps(tree))
    own.until(lambda: running(own) and all(p["status"].get("podIP") for p in own.get("pods")["items"]))
    addresses = {p["metadata"]["name"]: p["status"]["podIP"] for p in own.get("pods")["items"]}
    client = "import socket,sys; print(socket.create_connection((sys.argv[1], 80), 5).recv(9).decode())"
    for here, there in (("on-n1", "on-n2"), ("on-n2", "on-n1")):
        answer = own.until(
            lambda h=here, t=there: own.kubectl("exec", h, "--", "python3", "-c", client, addresses[t], check=False).stdout.strip()
        )
        assert answer == "here"


def test_what_was_taken_down_can_be_taken_down_again_and_purged(fake_cluster):
    for said in ("Control plane stopped", "Nothing runs"):
        assert said in fake_cluster.bareboat("down", "--name", "fake").stdout
    assert (fake_cluster.data_dir / "server").is_dir()
    fake_cluster.bareboat("up", "--fake", "--name", "fake", "--port", "0")
    assert len(fake_cluster.get("nodes")["items"]) == 3
    fake_cluster.bareboat("down", "--name", "fake")
    assert "Data removed" in fake_cluster.bareboat("down", "--purge").stdout
    assert not fake_cluster.data_dir.exists()
    refused = fake_cluster.bareboat("down", check=False)
    assert (refused.returncode, "no cluster was started from" in refused.stderr) == (1, True)


def test_fake_nodes_need_no_containers(fake_cluster):
    fake_cluster.kubectl("create", "deployment", "web", "--image=any:1", "--replicas=20")
    fake_cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    nodes = {p["spec"]["nodeName"] for p in fake_cluster.get("pods")["items"]}
    assert nodes == {"n1", "n2", "n3"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("node:\n  runtimes:\n  - use: no-such\n", ["line 3", "no-such", "installed: "]),
        ("node:\n  network: {use: bridge, options: {mtv: 1}}\n", ["mtv", "allowed: mtu, masquerade"]),
        ("plugins:\n- use: rbca\n", ["rbca", "admission-builtin", "sched-policies"]),
        ("serever: {}\n", ["1", "serever", "allowed here"]),
    ],
)
def test_a_wrong_cluster_file_is_refused_before_anything_starts(tmp_path, text, words):
    path = tmp_path / "bareboat.yaml"
    path.write_text(text)
    refused = run(*BAREBOAT, "up", "--config", str(path), "--data-dir", str(tmp_path / "d"), check=False)
    assert refused.returncode == 1
    for word in words:
        assert word in refused.stderr
    assert not (tmp_path / "d" / "state.json").exists()


def test_a_server_tells_when_it_is_ready_and_stops_cleanly(tmp_path):
    words = [
        *BAREBOAT,
        "server",
        "--data-dir",
        str(tmp_path / "s"),
        "--port",
        "0",
        "--write-kubeconfig",
        str(tmp_path / "kc"),
        "--foreground",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert re.match(r"bareboat server: ready at https://127\.0\.0\.1:\d+ in", server.stdout.readline())
        assert os.stat(tmp_path / "kc").st_mode & 0o777 == 0o600
        server.terminate()
        assert server.wait(20) == 0


def test_plugins_are_listed_shown_and_checked():
    listed = run(*BAREBOAT, "plugins", "list").stdout
    assert re.search(r"process\s+bareboat.cri.v1\s+bareboat-cri-process\s+\S+\s+enabled", listed)
    assert "mtu" in run(*BAREBOAT, "plugins", "show", "bridge").stdout
    assert "can be loaded" in run(*BAREBOAT, "plugins", "check").stdout
