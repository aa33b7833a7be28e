"""The docker runtime keeps every rule of the runtime contract, with a real daemon and a real registry."""

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_docker.options import DockerOptions
from bareboat_cri_docker.plugin import DockerRuntime


@pytest.mark.root
class TestDockerRuntime(features.ImageVolumeRules, features.AllFeatures, RuntimeSuite):
    volume_file = ("other", b"other")

    @pytest.fixture(autouse=True)
    def _images(self, dockerd, registry):
        cls = type(self)
        cls.socket = dockerd.socket
        cls.image, cls.other_image = f"{registry.address}/tests/busybox:1", f"{registry.address}/tests/other:1"
        cls.volume_image = cls.other_image
        cls.missing_image = f"{registry.address}/no/such:image"

    def make_driver(self, host):
        return DockerRuntime(DockerOptions(socket=self.socket), host)

    def answers_on_port(self):
        return {"command": ("sh", "-c", f"while :; do printf hello | nc -l -p {self.port}; done")}
