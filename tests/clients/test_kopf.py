"""A real kopf operator: it sees objects, writes to them, ticks, and holds them back until it has said good-bye."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
OPERATOR = str(Path(__file__).parent / "operator_kopf.py")


@pytest.fixture
def operator(cluster, tmp_path):
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", OPERATOR], env=environment, stdout=log, stderr=log
        )
    yield tmp_path / "log"
    process.terminate()
    assert process.wait(30) == 0, (tmp_path / "log").read_text()


def test_an_operator_does_its_work(cluster, operator):
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operated", "labels": {"operated": "yes"}}}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(tree))

    def data():
        return cluster.get("configmap", "operated").get("data", {})

    assert cluster.until(lambda: data().get("greeting")) == "hello operated"
    cluster.until(lambda: int(data().get("ticks", "0")) >= 3)
    assert "example.com/kopf" in cluster.get("configmap", "operated")["metadata"]["finalizers"]
    cluster.kubectl("delete", "configmap", "operated", "--timeout=30s")
    cluster.until(lambda: "good bye operated" in operator.read_text())
    events = cluster.get("events", "--field-selector", "involvedObject.name=operated")["items"]
    assert {e["source"]["component"] for e in events} == {"kopf"}
