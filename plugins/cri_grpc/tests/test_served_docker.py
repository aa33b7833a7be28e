"""The docker runtime keeps every rule also behind a CRI socket."""

import os

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_docker import testing
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime
from bareboat_cri_grpc.testing import Served


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    daemon = testing.Dockerd(tmp_path_factory.mktemp("dockerd"))
    daemon.start()
    try:
        for name, files in (("tests/busybox:1", {}), ("tests/other:1", {"other": b"other"})):
            daemon.build(name, files)
        images = testing.Registry(tmp_path_factory.mktemp("registry"))
        try:
            for name in ("tests/busybox:1", "tests/other:1"):
                images.push(daemon, name)
            yield daemon, images.address
        finally:
            images.stop()
    finally:
        daemon.remove()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or bool(testing.missing()), reason=f"needs root and a Docker daemon: {testing.missing()}")
class TestDockerBehindASocket(features.AllFeatures, RuntimeSuite):
    patience = 20.0

    @pytest.fixture(autouse=True)
    def behind(self, docker):
        daemon, address = docker
        cls = type(self)
        cls.socket, cls.missing_image = daemon.socket, f"{address}/no/such:image"
        cls.image, cls.other_image = f"{address}/tests/busybox:1", f"{address}/tests/other:1"

    def make_driver(self, host):
        return Served(host, DockerRuntime(DockerOptions(socket=self.socket), host))

    def answers_on_port(self):
        return {"command": ("sh", "-c", f"while :; do printf hello | nc -l -p {self.port}; done")}
