"""A cluster whose nodes run their pods on a Docker daemon: the hello example, kubectl's streams, and no trace afterwards."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import yaml

from bareboat.cluster.layout import Layout
from bareboat_cri_docker import testing
from tests.conftest import Cluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
HELLO = Path(__file__).parent.parent / "examples" / "hello"


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    if testing.missing():
        pytest.skip(f"the docker runtime's tests need {testing.missing()}")
    dockerd = testing.Dockerd(tmp_path_factory.mktemp("dockerd"))
    dockerd.start()
    yield dockerd
    dockerd.remove()


@pytest.fixture(scope="module")
def image(dockerd, tmp_path_factory):
    """With python3, in a registry of our own."""
    registry = testing.Registry(tmp_path_factory.mktemp("registry"))
    dockerd.build("tests/python:1", testing.python_files())
    yield registry.push(dockerd, "tests/python:1")
    registry.stop()


@pytest.fixture(scope="module")
def docker_cluster(dockerd, tmp_path_factory):
    found = Cluster(tmp_path_factory.mktemp("docker-cluster"))
    file = found.data_dir / "cluster.yaml"
    use = {"use": "docker", "options": {"socket": dockerd.socket}}
    file.write_text(yaml.safe_dump({"kind": "Cluster", "name": "docker", "node": {"runtimes": [use]}}))
    found.bareboat("up", "--port", "0", "--config", str(file))
    yield found
    found.bareboat("down", "--purge", check=False)


def ours(dockerd):
    return [c for c in dockerd.containers() if "bareboat.dev/instance" in c["Labels"]]


def test_the_hello_example_runs_and_its_service_answers(docker_cluster, image):
    cluster = docker_cluster
    for name in ("configmap", "deployment", "service"):
        text = (HELLO / f"{name}.yaml").read_text().replace("image: host", f"image: {image}")
        cluster.kubectl("apply", "-f", "-", input=text)
    cluster.kubectl("rollout", "status", "deployment/hello", "--timeout=120s", timeout=150)
    pods = cluster.get("pods", "-l", "app=hello")["items"]
    assert all(p["status"]["containerStatuses"][0]["containerID"].startswith("docker://") for p in pods)
    address = cluster.get("service", "hello")["spec"]["clusterIP"]
    fetch = f"import urllib.request as u; [print(u.urlopen('http://{address}/').read().decode(), end='') for _ in range(12)]"
    first = pods[0]["metadata"]["name"]
    answered = set(cluster.kubectl("exec", first, "--", "python3", "-c", fetch).stdout.splitlines())
    names = {p["metadata"]["name"] for p in pods}
    assert {a.split()[2] for a in answered} <= names
    assert len(answered) > 1
    assert "serving on 8080" in cluster.kubectl("logs", first).stdout
    runtime = cluster.get("nodes")["items"][0]["status"]["nodeInfo"]["containerRuntimeVersion"]
    assert runtime.startswith("docker://")


def test_exec_passes_input_output_and_the_exit_code(docker_cluster, image):
    cluster = docker_cluster
    cluster.kubectl("run", "shell", f"--image={image}", "--", "sleep", "3600")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/shell", "--timeout=60s")
    assert cluster.kubectl("exec", "-i", "shell", "--", "cat", input="hello\n").stdout == "hello\n"
    assert cluster.kubectl("exec", "shell", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert cluster.kubectl("exec", "shell", "--", "hostname").stdout.strip() == "shell"


def test_an_image_that_is_not_there_is_told(docker_cluster, image):
    cluster = docker_cluster
    cluster.kubectl("run", "lost", f"--image={image.rpartition('/')[0]}/lost:1")

    def waiting():
        statuses = cluster.get("pod", "lost")["status"].get("containerStatuses") or [{}]
        return statuses[0].get("state", {}).get("waiting", {}).get("reason")

    assert cluster.until(waiting) in ("ErrImagePull", "ImagePullBackOff", "ContainerCreating")
    cluster.until(lambda: waiting() in ("ErrImagePull", "ImagePullBackOff"))
    cluster.kubectl("delete", "pod", "lost", "--wait=true")


def status_of(cluster, pod):
    return cluster.until(lambda: cluster.get("pod", pod)["status"].get("containerStatuses"))[0]


CLASSES = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: daemon}
handler: docker
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: second}
handler: again
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: nowhere}
handler: no-such-handler
"""


def sleeper(name, image, runtime_class=None):
    spec = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": image, "command": ["sleep", "3600"]}]}
    spec |= {"runtimeClassName": runtime_class} if runtime_class else {}
    return json.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec})


def traces(instance):
    """Run-time directories and control groups."""
    return [*Path("/run/bareboat").glob(instance), *Path("/sys/fs/cgroup").glob(f"*/*{instance}*")]


def test_two_runtimes_side_by_side_are_chosen_by_the_runtime_class(dockerd, image, tmp_path):
    cluster = Cluster(tmp_path / "both")
    cluster.data_dir.mkdir()
    file = cluster.data_dir / "cluster.yaml"
    docker = {"use": "docker", "handler": "docker", "options": {"socket": dockerd.socket}}
    runtimes = [{"use": "process"}, docker, {"use": "process", "handler": "again"}]
    file.write_text(yaml.safe_dump({"kind": "Cluster", "name": "both", "node": {"runtimes": runtimes}}))
    before = len(ours(dockerd))
    cluster.bareboat("up", "--port", "0", "--config", str(file))
    try:
        cluster.kubectl("apply", "-f", "-", input=CLASSES)
        wanted = (("usual", "host", None), ("inside", image, "daemon"), ("twin", "host", "second"), ("lost", image, "nowhere"))
        for name, its_image, runtime_class in wanted:
            cluster.kubectl("create", "-f", "-", input=sleeper(name, its_image, runtime_class))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/usual", "pod/inside", "pod/twin", "--timeout=60s")
        assert status_of(cluster, "usual")["containerID"].startswith("process://")
        assert status_of(cluster, "inside")["containerID"].startswith("docker://")
        assert cluster.kubectl("exec", "inside", "--", "readlink", "/bin/sh").stdout.strip() == "busybox"
        assert cluster.kubectl("exec", "usual", "--", "readlink", "/bin/sh").stdout.strip() != "busybox"
        told = cluster.until(
            lambda: [e["message"] for e in cluster.get("events")["items"] if e["reason"] == "FailedCreatePodSandBox"], seconds=30
        )
        assert 'no runtime for "no-such-handler" is configured' in told[0]
        assert status_of(cluster, "lost")["state"]["waiting"]["reason"] == "ContainerCreating"
        cluster.kubectl("delete", "pod", "--all", "--timeout=60s")
        assert cluster.until(lambda: len(ours(dockerd)) == before)
    finally:
        instance = Layout(cluster.data_dir).instance("n1")
        instances = (instance, hashlib.sha256(f"{instance}/again".encode()).hexdigest()[: len(instance)])
        seen = [traces(i) for i in instances]
        cluster.bareboat("down", "--purge", check=False)
    assert all(seen)
    assert [traces(i) for i in instances] == [[], []]


def test_down_removes_the_clusters_containers(docker_cluster, dockerd):
    foreign = dockerd.docker.api.create_container_from_config({"Image": "tests/python:1", "Cmd": ["true"]}, name="foreign")
    assert len(ours(dockerd)) >= 2
    docker_cluster.bareboat("down", "--purge")
    assert ours(dockerd) == []
    assert [c["Id"] for c in dockerd.containers()] == [foreign["Id"]]
