"""A world over HTTPS: clients that people have, an operator that people write, and kubectl, each without knowing where it is."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bareboat.client.client import Client
from bareboat.client.kubeconfig import load
from bareboat.models import core_v1
from bareboat.models.scheme import Scheme

OPERATOR = Path(__file__).parent / "boat_operator.py"
BOATS = Path(__file__).parent / "boats.yaml"
# what the clients leave open or warn of is theirs
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)


def boat(name="argo", sails=2):
    return {"apiVersion": "sea.dev/v1", "kind": "Boat", "metadata": {"name": name}, "spec": {"sails": sails}}


@pytest.fixture
def operator(live_world, tmp_path):
    """The operator as a process of its own, as it is run in production."""
    live_world.apply(BOATS)
    environment = {**os.environ, "KUBECONFIG": str(live_world.kubeconfig), "HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", str(OPERATOR)], env=environment, stdout=log, stderr=log
        )
    yield tmp_path / "log"
    process.terminate()
    assert process.wait(30) == 0, (tmp_path / "log").read_text()


def test_a_kopf_operator_rigs_boats(live_world, operator):
    live_world.apply(boat(sails=3))
    argo = live_world.until("boat/argo has status.phase=Afloat")
    assert argo.metadata.finalizers, "kopf holds it until it has said good-bye"
    assert live_world.get("deployment/argo-crew").spec.replicas == 3
    live_world.patch("boat/argo", {"spec": {"sails": 1}})
    live_world.until("deployment/argo-crew has spec.replicas=1")
    live_world.delete("boat/argo")
    live_world.until("boat/argo is gone")
    live_world.until("deployment/argo-crew is gone")


def test_a_kopf_operator_survives_refusals_and_cut_watches(live_world, operator):
    live_world.apply(boat("first"))
    live_world.until("boat/first has status.phase=Afloat")
    refused = live_world.faults.fail("create", "deployments", code=429, times=2)
    live_world.call(_cut(live_world))
    live_world.apply(boat("second"))
    live_world.until("boat/second has status.phase=Afloat")
    assert refused.met == 2


async def _cut(live_world):
    assert live_world.faults.cut_watches("boats", expired=True) >= 1


SCRIPT = """
import kr8s
from kr8s.objects import ConfigMap, Deployment
ConfigMap({"metadata": {"name": "made-by-kr8s"}, "data": {"a": "b"}}).create()
Deployment.get("web").scale(3)
print(len(list(kr8s.get("pods", label_selector={"a": "b"}))))
"""


def test_a_kr8s_script_works(live_world, tmp_path):
    live_world.apply({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    })  # fmt: skip
    live_world.until("deployment/web is available")
    environment = {**os.environ, "KUBECONFIG": str(live_world.kubeconfig), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) >= 1
    assert live_world.get("cm/made-by-kr8s").data.a == "b"
    live_world.until("3 pods -l a=b are ready")


def test_the_official_client_and_lightkube_work(live_world):
    from kubernetes import client, config
    from lightkube import Client as Lightkube
    from lightkube import KubeConfig
    from lightkube.resources.core_v1 import Node

    api = config.new_client_from_config(str(live_world.kubeconfig))
    assert [n.metadata.name for n in client.CoreV1Api(api).list_node().items] == ["n1"]
    assert [n.metadata.name for n in Lightkube(KubeConfig.from_file(live_world.kubeconfig)).list(Node)] == ["n1"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_works(live_world, tmp_path):
    def kubectl(*words):
        command = ["kubectl", "--kubeconfig", str(live_world.kubeconfig), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60, env={"HOME": str(tmp_path), **os.environ}
        ).stdout

    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    pods = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    assert len(pods) == 2
    assert kubectl("logs", pods[0]["metadata"]["name"]) == "fake container started\n"


def test_two_live_worlds_run_side_by_side(live_world):
    from bareboat.testing.world import LiveWorld

    with LiveWorld(nodes=0) as other:
        other.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there"}})
        assert other.exists("cm/there")
        assert not live_world.exists("cm/there")
        assert other.url != live_world.url
    assert [t.name for t in threading.enumerate()].count("bareboat-world") == 1


@pytest.mark.real_time
async def test_an_async_test_may_serve_its_world(world):
    await world.serve()
    transport = load(world.kubeconfig)
    assert [n.metadata.name for n in (await Client(transport, Scheme.builtin()).list(core_v1.Node)).items] == ["n1"]
    await transport.close()


async def test_a_world_that_is_not_served_says_how(world):
    with pytest.raises(RuntimeError, match="has no HTTP face yet"):
        print(world.url)
