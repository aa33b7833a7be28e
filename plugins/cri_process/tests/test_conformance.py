"""The process runtime keeps every rule of the runtime contract."""

import asyncio
import os
import subprocess

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing import oci, registry
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_process.crun import executable
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


class Rules(features.AllFeatures, RuntimeSuite):
    image, other_image = "host", "host:other"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the process runtime needs root")
class TestProcessRuntime(Rules):
    def make_driver(self, host):
        return ProcessRuntime(ProcessOptions(), host)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not executable(), reason="needs root and crun")
class TestThroughCrun(Rules):
    def make_driver(self, host):
        return ProcessRuntime(ProcessOptions(runtime="crun"), host)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    names = [
        n for n in subprocess.run([oci.BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split() if n != "busybox"
    ]
    with registry.Registry(tmp_path_factory.mktemp("registry")) as found:
        for tag in ("1", "other"):
            image = oci.build(
                [oci.busybox(*names), [("tmp", None), ("etc", None), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")]], Env=[f"TAG={tag}"]
            )
            asyncio.run(oci.push(found.url, "suite", tag, image))
        yield found


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or bool(registry.missing()), reason=f"needs root and a registry: {registry.missing()}")
class TestOnPulledImages(features.ImageVolumeRules, Rules):
    """The same rules over images of a registry."""

    volume_file = ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")

    @pytest.fixture(autouse=True)
    def images(self, served):
        type(self).image, type(self).other_image = f"{served.host}/suite:1", f"{served.host}/suite:other"
        type(self).volume_image = self.other_image

    def make_driver(self, host):
        return ProcessRuntime(ProcessOptions(), host)

    def answers_on_port(self):
        return {"command": ("sh", "-c", f"while true; do printf hello | nc -l -p {self.port}; done")}
