"""The wheels: built, installed into environments of their own without a source tree, and what they bring up."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bareboat_cri_docker import testing
from tests.conftest import Cluster, run

ROOT = Path(__file__).parent.parent
UV = [shutil.which("uv") or str(Path(sys.executable).parent / "uv")]
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: one}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: c, image: '{image}', imagePullPolicy: IfNotPresent, command: [sleep, '1000']}}]
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Installation(Cluster):
    """A cluster that is run by the Bareboat of an environment, from a directory without sources."""

    def __init__(self, environment, data_dir):
        super().__init__(data_dir)
        self.environment = environment

    def bareboat(self, *words, **options):
        return run(str(self.environment / "bin" / "bareboat"), *words, "--data-dir", str(self.data_dir), **self._clean(options))

    def python(self, code):
        return run(str(self.environment / "bin" / "python"), "-c", code, **self._clean({})).stdout.strip()

    def _clean(self, options):
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "KUBECONFIG")}
        return {"cwd": "/", "env": kept, **options}

    def runs_one_pod(self, image="host"):
        self.kubectl("create", "-f", "-", input=POD.format(image=image))
        self.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
        assert self.kubectl("exec", "one", "--", "hostname").stdout.strip() == "one"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    found = tmp_path_factory.mktemp("dist")
    run(*UV, "build", "--all-packages", "--wheel", "-q", "-o", str(found), cwd=ROOT, timeout=280)
    return found


def install(wheels, place, extras):
    run(*UV, "venv", "-q", "--python", sys.executable, str(place))
    constraints = ["-c", str(ROOT / "constraints.txt")]
    python = ["--python", str(place / "bin" / "python")]
    ours = {wheel.name.partition("-")[0].replace("_", "-") for wheel in wheels.glob("*.whl")}
    fresh = [word for name in sorted(ours) for word in ("--refresh-package", name)]  # not those that uv knows from an earlier build
    source = ["--find-links", str(wheels), *fresh]
    run(*UV, "pip", "install", "-q", *python, *constraints, *source, f"bareboat[{extras}]", cwd="/", timeout=280)
    return place


@pytest.fixture(scope="module")
def everything(wheels, tmp_path_factory):
    return install(wheels, tmp_path_factory.mktemp("everything") / "venv", "all")


@pytest.fixture
def installation(everything, tmp_path):
    found = Installation(everything, tmp_path / "cluster")
    yield found
    found.bareboat("down", "--purge", check=False)


def test_there_is_a_wheel_for_the_kernel_and_for_each_plugin(wheels):
    names = {w.name.split("-")[0] for w in wheels.glob("*.whl")}
    assert names == {"bareboat", *(f"bareboat_{p.name}" for p in (ROOT / "plugins").iterdir() if p.is_dir())}


def test_a_fake_cluster_comes_up_from_wheels_alone(installation):
    assert Path(installation.python("import bareboat; print(bareboat.__file__)")).is_relative_to(installation.environment)
    assert str(ROOT) not in installation.python("import sys; print(sys.path)")
    installation.bareboat("up", "--fake", "--port", "0")
    installation.kubectl("create", "deployment", "web", "--image=any")
    installation.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    installation.bareboat("down")
    assert "no cluster was started" in installation.bareboat("status", check=False).stderr


@pytest.mark.root
def test_a_real_cluster_comes_up_from_wheels_alone(installation):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    installation.bareboat("up", "--port", "0")
    installation.runs_one_pod()
    installation.bareboat("down")


@pytest.fixture
def dockerd(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    if testing.missing():
        pytest.skip(f"the docker runtime's tests need {testing.missing()}")
    found = testing.Dockerd(tmp_path_factory.mktemp("dockerd"))
    found.start()
    yield found
    found.remove()


@pytest.mark.root
def test_clusters_with_different_plugins_live_side_by_side_on_one_machine(wheels, installation, dockerd, tmp_path):
    docker = Installation(install(wheels, tmp_path / "venv", "docker,bridge"), tmp_path / "docker")
    assert docker.python("import importlib.util as u; print(u.find_spec('bareboat_cri_process'))") == "None"
    dockerd.build("tests/python:1", testing.python_files())
    file = tmp_path / "docker.yaml"
    file.write_text(
        f"kind: Cluster\nname: docker\nstore: {{use: memory}}\nnode: {{runtimes: [{{use: docker, options: {{socket: '{dockerd.socket}'}}}}]}}\n"
    )
    try:
        installation.bareboat("up", "--port", "0")
        docker.bareboat("up", "--port", "0", "--config", str(file))
        installation.runs_one_pod()
        docker.runs_one_pod("tests/python:1")
        enabled = [
            {(p["contract"], p["name"]) for p in json.loads(c.bareboat("plugins", "list", "-o", "json").stdout) if p["state"] == "enabled"}
            for c in (installation, docker)
        ]
        storage = {("bareboat.csi.v1alpha1", "local"), ("bareboat.plugins", "csi-local")}
        assert enabled[0] - enabled[1] == {("bareboat.cri.v1", "process"), ("bareboat.store.v1", "sqlite"), *storage}
        assert enabled[1] - enabled[0] == {("bareboat.cri.v1", "docker"), ("bareboat.store.v1", "memory")}
        docker.bareboat("down", "--purge")
        assert installation.kubectl("exec", "one", "--", "hostname").stdout.strip() == "one"
    finally:
        docker.bareboat("down", "--purge", check=False)


def test_versions_and_compatibility_are_shown(everything, tmp_path):
    found = Installation(everything, tmp_path)
    listed = found.bareboat("plugins", "list").stdout
    assert re.search(r"docker +bareboat\.cri\.v1 +bareboat-cri-docker +0\.\S+ +installed", listed)
    assert "speaks bareboat.cni.v1, bareboat.cosi.v1alpha1, bareboat.cri.v1" in listed
    assert re.search(r"kernel: +made for bareboat.*; this is bareboat 0\.", found.bareboat("plugins", "show", "bridge").stdout)
    assert json.loads(found.bareboat("plugins", "check", "-o", "json").stdout) == {"cluster": "bareboat", "problems": []}


def test_a_unit_is_written_once_verified_and_removed(tmp_path):
    words = [sys.executable, "-m", "bareboat"]
    options = ["--name", "lab", "--data-dir", str(tmp_path / "data dir"), "--unit-dir", str(tmp_path), "-o", "json"]
    first = json.loads(run(*words, "install", "--nodes", "3", *options).stdout)
    unit = Path(first["path"])
    assert (first["changed"], unit.name, unit.stat().st_mode & 0o777) == (True, "bareboat-lab.service", 0o644)
    text = unit.read_text()
    assert "KillMode=process\n" in text
    assert f'--data-dir "{tmp_path}/data dir" --nodes 3\n' in text
    assert "systemctl enable --now bareboat-lab.service" in first["todo"]
    assert json.loads(run(*words, "install", "--nodes", "3", *options).stdout)["changed"] is False
    if shutil.which("systemd-analyze"):
        verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        assert [line for line in verified.stderr.splitlines() if "bareboat-lab" in line] == []
    assert json.loads(run(*words, "uninstall", *options).stdout)["changed"]
    assert not unit.exists()
    assert json.loads(run(*words, "uninstall", *options).stdout)["changed"] is False
