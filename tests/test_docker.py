"""A cluster whose nodes run their pods on a Docker daemon: the hello example, kubectl's streams, and no trace afterwards."""

import os
from pathlib import Path

import pytest
import yaml

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
    fetch = "import urllib.request as u; print(u.urlopen('http://{}/').read().decode(), end='')"
    address = cluster.get("service", "hello")["spec"]["clusterIP"]
    first = pods[0]["metadata"]["name"]
    answered = {cluster.kubectl("exec", first, "--", "python3", "-c", fetch.format(address)).stdout for _ in range(12)}
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


def test_down_removes_the_clusters_containers(docker_cluster, dockerd):
    foreign = dockerd.docker.api.create_container_from_config({"Image": "tests/python:1", "Cmd": ["true"]}, name="foreign")
    assert len(ours(dockerd)) >= 2
    docker_cluster.bareboat("down", "--purge")
    assert ours(dockerd) == []
    assert [c["Id"] for c in dockerd.containers()] == [foreign["Id"]]
