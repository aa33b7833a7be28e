"""What a changed cluster file takes, said before anything is touched; and taken over by a server that runs."""

import json
import subprocess
import sys
import time

import msgspec
import pytest

from bareboat.cluster.file.choices import check
from bareboat.cluster.file.plan import changes, shown
from bareboat.cluster.file.shape import ClusterFile, Networking, Node, NodeSet, Policy, Runtime, Server, Use, fake, node_of
from bareboat.plugins.loader import Loader
from bareboat.plugins.problems import PluginErrors

OLD = ClusterFile()


def effects(**fields):
    return {c.path: c.effect for c in changes(OLD, msgspec.structs.replace(OLD, **fields))}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"scheduling": [Policy(use="most-allocated")]}, {"scheduling": "live"}),
        ({"admission": ["LimitRanger"]}, {"admission": "live"}),
        ({"plugins": [Use(use="rbac"), Use(use="sched-policies", options={"resources": {"cpu": 2}}), Use(use="admission-builtin")]}, {"plugins": "live"}),
        ({"plugins": [Use(use="rbac"), Use(use="new")]}, {"plugins": "server"}),
        ({"authorization": ["rbac"]}, {"authorization": "server"}),
        ({"server": Server(port=7443)}, {"server.port": "server"}),
        ({"node": Node(runtimes=[Runtime(use="docker")], maxPods=7)}, {"node.runtimes": "nodes", "node.maxPods": "nodes"}),
        ({"networking": Networking(podCIDR="10.1.0.0/16", nodePorts="30000-30100")}, {"networking.podCIDR": "refused", "networking.nodePorts": "server"}),
        ({"store": Use(use="memory")}, {"store.use": "refused"}),
    ],
)  # fmt: skip
def test_every_change_has_what_it_takes(fields, expected):
    assert effects(**fields) == expected


def test_a_change_is_shown_as_it_is_written():
    (change,) = changes(OLD, msgspec.structs.replace(OLD, scheduling=[Policy(use="most-allocated", weight=5)]))
    assert shown(change) == (
        "scheduling: [least-allocated, balanced-allocation] → [most-allocated {'weight': 5}] (taken over by the running server)"
    )


def bareboat(*words, code=0):
    done = subprocess.run([sys.executable, "-m", "bareboat", *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def cluster(tmp_path):
    """Fake nodes; ``write(**fields)`` a changed file."""
    data, file = tmp_path / "data", tmp_path / "bareboat.yaml"

    def write(**fields):
        tree = msgspec.to_builtins(msgspec.structs.replace(fake("plan"), server=Server(port=0)))
        file.write_text(json.dumps({**tree, **fields}))
        return ["--config", file, "--data-dir", data]

    bareboat("up", *write())
    yield write, data
    bareboat("down", "--data-dir", data, "--purge")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_running_cluster_takes_over_what_it_can_and_refuses_what_it_cannot(cluster):
    write, data = cluster
    state = json.loads((data / "state.json").read_text())
    kept = (data / "cluster.yaml").read_bytes()

    changed = write(scheduling=[{"use": "most-allocated", "weight": 3}])
    assert "taken over by the running server" in bareboat("up", *changed, "--plan")
    assert (data / "cluster.yaml").read_bytes() == kept, "a plan changes nothing"

    refused = bareboat("up", *write(networking={"podCIDR": "10.99.0.0/16"}), code=1)
    assert "networking.podCIDR: 10.244.0.0/16 → 10.99.0.0/16 (cannot be changed" in refused
    refused = bareboat("up", *write(plugins=[{"use": "no-such-plugin"}]), code=1)
    assert "no such plugin installed" in refused
    assert (data / "cluster.yaml").read_bytes() == kept, "a refused file changes nothing"

    bareboat("up", *write(scheduling=[{"use": "most-allocated", "weight": 3}]))
    assert json.loads((data / "state.json").read_text())["server"] == state["server"], "the server went on"
    log = data / "logs" / "server.log"
    deadline = time.monotonic() + 20
    while "taken over: scheduling" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)

    bareboat("up", *write(scheduling=[{"use": "most-allocated", "weight": 3}], authorization=["rbac"]))
    assert json.loads((data / "state.json").read_text())["server"] != state["server"], "a new server"
    assert json.loads((data / "state.json").read_text())["nodes"] == state["nodes"], "the agents went on"


def test_some_nodes_have_other_plugins_than_the_rest():
    gpu = NodeSet(names=["gpu-*", "big"], runtimes=[Runtime(use="docker")], labels={"gpu": "yes"}, maxPods=9)
    cluster = msgspec.structs.replace(OLD, node=Node(labels={"disk": "ssd"}), nodes=[gpu, NodeSet(names=["*"], maxPods=5)])
    node = node_of(cluster, "gpu-1")
    assert ([r.use for r in node.runtimes], node.labels, node.maxPods) == (["docker"], {"disk": "ssd", "gpu": "yes"}, 9)
    assert (node.network, node_of(cluster, "n1").maxPods) == (cluster.node.network, 5)
    assert {c.path: c.effect for c in changes(OLD, msgspec.structs.replace(OLD, nodes=[gpu]))} == {"nodes": "nodes"}
    with pytest.raises(PluginErrors, match="no-such"):
        check(msgspec.structs.replace(fake(), nodes=[NodeSet(names=["x"], network=Use(use="no-such"))]), Loader())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_node_of_a_set_is_what_the_set_says(cluster):
    write, data = cluster
    bareboat(
        "up",
        *write(
            nodes=[
                {
                    "names": ["n1"],
                    "network": {"use": "fake", "isolate": True},
                    "labels": {"gpu": "yes"},
                    "maxPods": 7,
                    "plugins": [{"use": "fleet"}],
                }
            ]
        ),
        "--nodes",
        2,
    )
    listed = json.loads(bareboat("plugins", "list", "--data-dir", data, "-o", "json"))
    health = {(p["contract"], p["name"]): p["health"] for p in listed}
    assert health["bareboat.cri.v1", "fake"] == "n1 well, n2 well"
    assert health["bareboat.plugins", "fleet"] == "n1 well"
