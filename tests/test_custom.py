"""Custom resources with the real kubectl and with client libraries: define, apply, explain, patch, scale, wait, delete."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import Cluster

pytestmark = [pytest.mark.timeout(240)]
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    selectableFields: [{jsonPath: .spec.cronSpec}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [cronSpec]
            x-kubernetes-validations: [{rule: self.replicas < 9, message: too many}]
            properties:
              cronSpec: {type: string, pattern: '^[0-9* /]+$', description: When it runs.}
              replicas: {type: integer, default: 1, minimum: 0}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions:
                type: array
                items: {type: object, properties: {type: {type: string}, status: {type: string}}}
"""
NAME = "crontabs.stable.example.com"
EXAMPLES = Path(__file__).parents[1] / "examples"


def crontab(name="a", spec='cronSpec: "* 5"'):
    return f"apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    found = Cluster(tmp_path_factory.mktemp("custom") / "fake")
    found.bareboat("up", "--fake", "--name", "custom", "--port", "0")
    yield found
    found.bareboat("down", "--purge", check=False)


@pytest.fixture
def crontabs(cluster):
    cluster.kubectl("apply", "-f", "-", input=DEFINITION)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=10s")
    yield cluster
    cluster.kubectl("delete", "crd", NAME, "--ignore-not-found", "--timeout=30s")


def test_kubectl_on_custom_resources(crontabs):
    kubectl = crontabs.kubectl
    kubectl("apply", "-f", "-", input=crontab())
    assert kubectl("get", "ct").stdout.splitlines()[0].split() == ["NAME", "SPEC", "AGE"]
    assert kubectl("get", "crontab", "-o", "wide").stdout.splitlines()[1].split()[:4] == ["a", "*", "5", "1"]
    assert "crontab.stable.example.com/a" in kubectl("get", "all").stdout
    assert "When it runs." in kubectl("explain", "crontabs.spec.cronSpec").stdout
    assert "-required-" in kubectl("explain", "ct.spec").stdout

    assert "configured" in kubectl("apply", "-f", "-", input=crontab(spec='cronSpec: "* 6"')).stdout
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=crontab()).stdout
    kubectl("patch", "ct", "a", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":4}]')
    kubectl("scale", "ct", "a", "--replicas=6")
    assert crontabs.get("ct", "a")["spec"] == {"cronSpec": "* 5", "replicas": 6}
    kubectl(
        "patch", "ct", "a", "--subresource=status", "--type=merge", "-p", '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    )
    kubectl("wait", "ct/a", "--for=condition=Ready", "--timeout=5s")
    assert kubectl("get", "ct", "--field-selector", "spec.cronSpec=* 5", "-o", "name").stdout.strip() == "crontab.stable.example.com/a"


def test_kubectl_tells_what_is_wrong(crontabs):
    kubectl = crontabs.kubectl
    for spec, said in (
        ("cronSpec: bad", "spec.cronSpec in body should match '^[0-9* /]+$'"),
        ("replicas: 1", "spec.cronSpec: Required value"),
        ('cronSpec: "*", replicas: 20', "too many"),
        ('cronSpec: "*", odd: 1', 'strict decoding error: unknown field "spec.odd"'),
    ):
        refused = kubectl("apply", "-f", "-", input=crontab(spec=spec), check=False)
        assert refused.returncode == 1
        assert said in refused.stderr
    kubectl("apply", "-f", "-", input=crontab())
    assert "is not supported" in kubectl("patch", "ct", "a", "-p", "{}", check=False).stderr


def test_the_end_of_a_definition_and_of_a_namespace(crontabs):
    kubectl = crontabs.kubectl
    kubectl("create", "namespace", "gone")
    kubectl("apply", "-n", "gone", "-f", "-", input=crontab())
    kubectl("delete", "namespace", "gone", "--timeout=30s")
    kubectl("apply", "-f", "-", input=crontab())
    assert len(crontabs.get("ct", "-A")["items"]) == 1
    kubectl("delete", "crd", NAME, "--timeout=30s")
    assert kubectl("get", "ct", check=False).returncode == 1


def test_dependents_of_custom_objects_are_collected(crontabs):
    kubectl = crontabs.kubectl
    kubectl("apply", "-f", "-", input=crontab())
    uid = crontabs.get("ct", "a")["metadata"]["uid"]
    owner = f'{{"metadata":{{"ownerReferences":[{{"apiVersion":"stable.example.com/v1","kind":"CronTab","name":"a","uid":"{uid}"}}]}}}}'
    kubectl("create", "configmap", "owned", "--from-literal=a=b")
    kubectl("patch", "configmap", "owned", "-p", owner)
    kubectl("apply", "-f", "-", input=crontab("child"))
    kubectl("patch", "ct", "child", "--type=merge", "-p", owner)
    time.sleep(1.0)
    assert crontabs.get("configmap", "owned")
    kubectl("delete", "ct", "a")
    crontabs.until(lambda: kubectl("get", "cm/owned", "ct/child", check=False).stderr.count("NotFound") == 2, 30)


def test_definitions_survive_a_restart(crontabs):
    crontabs.kubectl("apply", "-f", "-", input=crontab())
    crontabs.bareboat("down")
    crontabs.bareboat("up", "--fake", "--name", "custom", "--port", "0")
    assert crontabs.get("ct", "a")["spec"]["replicas"] == 1


def test_a_dynamic_client_of_a_library_watches_a_kind_that_came_later(cluster):
    from kubernetes import config, dynamic

    client = dynamic.DynamicClient(config.new_client_from_config(str(cluster.kubeconfig)))
    cluster.kubectl("apply", "-f", "-", input=DEFINITION)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=10s")
    resource = client.resources.get(api_version="stable.example.com/v1", kind="CronTab")
    seen = []

    def follow():
        for event in resource.watch(namespace="default", timeout=20):
            seen.append((event["type"], event["object"].spec.cronSpec))
            if event["type"] == "DELETED":
                return

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.5)
    cluster.kubectl("apply", "-f", "-", input=crontab())
    cluster.kubectl("delete", "ct", "a")
    thread.join(30)
    cluster.kubectl("delete", "crd", NAME)
    assert [kind for kind, _ in seen] == ["ADDED", "DELETED"]


@pytest.fixture
def webhook(cluster, tmp_path):
    """The example's server, and its definition applied."""
    with (tmp_path / "boats.json").open("w") as out:
        process = subprocess.Popen([sys.executable, str(EXAMPLES / "boats" / "webhook.py"), "0"], stdout=out)
    try:
        cluster.until(lambda: "ValidatingWebhookConfiguration" in (tmp_path / "boats.json").read_text())
        cluster.kubectl("apply", "-f", str(tmp_path / "boats.json"))
        cluster.kubectl("wait", "--for=condition=Established", "crd/boats.harbor.example.com", "--timeout=10s")
        yield cluster
        cluster.kubectl("delete", "-f", str(tmp_path / "boats.json"), "--timeout=30s")
    finally:
        process.terminate()
        process.wait(10)


def test_the_example_s_webhooks_convert_and_refuse(webhook):
    boat = "apiVersion: harbor.example.com/v1\nkind: Boat\nmetadata: {{name: {}}}\nspec: {{sails: 3}}\n"
    made = webhook.kubectl("apply", "-f", "-", input=boat.format("one"))
    assert "boat.harbor.example.com/one created" in made.stdout
    assert "Warning: mind the rocks" in made.stderr
    refused = webhook.kubectl("apply", "-f", "-", input=boat.format("titanic"), check=False)
    assert 'admission webhook "boats.harbor.example.com" denied the request: she is unsinkable, they say' in refused.stderr

    def seen(version):
        return webhook.kubectl("get", f"boats.{version}.harbor.example.com", "one", "-o=jsonpath={.apiVersion} {.spec}").stdout

    assert seen("v2") == 'harbor.example.com/v2 {"rig":{"sails":3}}'
    webhook.kubectl("patch", "boats.v2.harbor.example.com", "one", "--type=merge", "-p", '{"spec":{"rig":{"sails":5}}}')
    assert seen("v1") == 'harbor.example.com/v1 {"sails":5}'


def test_the_example_s_operator_sets_sails(cluster, tmp_path):
    folder, boats = EXAMPLES / "boats", "boats.v1.harbor.example.com"  # kubectl may remember a v2 of another test
    cluster.kubectl("apply", "-f", str(folder / "definition.yaml"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/boats.harbor.example.com", "--timeout=10s")
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", str(folder / "crew.py")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        cluster.kubectl("apply", "-f", str(folder / "boat.yaml"))
        cluster.until(lambda: cluster.get(boats, "one").get("status", {}).get("sails") == cluster.get(boats, "one")["spec"]["sails"])
        cluster.kubectl("scale", boats, "one", "--replicas=4")
        cluster.until(lambda: cluster.get(boats, "one")["status"]["sails"] == 4)
        cluster.kubectl("delete", boats, "one", "--timeout=30s")
        cluster.until(lambda: "farewell one" in (tmp_path / "log").read_text())
    finally:
        process.terminate()
        process.wait(30)
    cluster.kubectl("delete", "crd", "boats.harbor.example.com", "--timeout=30s")
