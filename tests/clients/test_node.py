"""A program in JavaScript with @kubernetes/client-node: objects, an informer, exec."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import run

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("client.mjs", "package.json"):
        shutil.copy(HERE / name, folder / name)
    run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder, timeout=200)
    return folder


def test_a_program_in_javascript_works(cluster, project):
    spec = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "host", "command": ["sleep", "1000"]}]}
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node"}, "spec": spec}))
    cluster.kubectl("wait", "pod/node", "--for=condition=Ready", "--timeout=60s")
    done = run("node", "client.mjs", "node", cwd=project, env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}, timeout=60)
    found = json.loads(done.stdout)
    assert found["replaced"] == {"a": "b", "c": "d"}
    assert found["seen"] == [["add", "node"], ["update", "node"], ["delete", "node"]]
    assert (found["gone"], found["output"], found["yaml"]) == (404, "from node\n", "host")
    assert found["status"]["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]
    cluster.kubectl("delete", "pod/node")
