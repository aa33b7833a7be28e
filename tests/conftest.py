"""Whole-system tests: one real cluster for the session, driven by the real kubectl."""

import json
import os
import subprocess
import sys
import time

import pytest

BAREBOAT = [sys.executable, "-m", "bareboat"]


def run(*command, check=True, timeout=120, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


class Cluster:
    """A running cluster and how to talk to it."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.kubeconfig = data_dir / "kubeconfig"

    def bareboat(self, *words, **options):
        return run(*BAREBOAT, *words, "--data-dir", str(self.data_dir), **options)

    def host(self, *words):
        """What a command of the machine prints."""
        return run(*words).stdout

    def kubectl(self, *words, check=True, **options):
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.data_dir)}
        return run("kubectl", *words, check=check, env=environment, **options)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def until(self, holds, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            found = holds()
            if found:
                return found
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    found.bareboat("up", "--name", "tests", "--port", "0")
    yield found
    found.bareboat("down", "--purge")


@pytest.fixture
def fake_cluster(tmp_path):
    found = Cluster(tmp_path / "fake")
    found.bareboat("up", "--fake", "--name", "fake", "--port", "0", "--nodes", "3")
    yield found
    found.bareboat("down", "--purge", check=False)
