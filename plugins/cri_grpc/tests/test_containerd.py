"""A real containerd behind the proxy keeps the rules of the runtime contract, but for what is declared here."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing import oci, registry
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_grpc.options import CriSocketOptions
from bareboat_cri_grpc.plugin import CriSocket
from bareboat_cri_grpc.testing import Containerd, missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or bool(missing() or registry.missing()), reason=f"root, {missing()} {registry.missing()}"),
]


@pytest.fixture(scope="module")
def containerd(tmp_path_factory):
    with Containerd(tmp_path_factory.mktemp("containerd")) as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    tools = subprocess.run([oci.BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    names = [n for n in tools if n != "busybox"]
    with registry.Registry(tmp_path_factory.mktemp("registry")) as found:
        for tag in ("1", "other"):
            files = [oci.busybox(*names), [("tmp", None), ("etc", None), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")]]
            asyncio.run(oci.push(found.url, "suite", tag, oci.build(files, Env=[f"TAG={tag}"])))
        yield found


class TestContainerd(features.AllFeatures, RuntimeSuite):
    patience = 20.0

    @pytest.fixture(autouse=True)
    def behind(self, containerd, served):
        type(self).image, type(self).other_image = f"{served.host}/suite:1", f"{served.host}/suite:other"
        self.socket = str(containerd.socket)

    def make_driver(self, host):
        return CriSocket(CriSocketOptions(socket=self.socket), host)

    async def test_output_is_logged_line_by_line(self, runtime):
        """Stamps without their last zeros: containerd leaves them out, and the log's readers do not mind."""
        ended = await runtime.ended(self.writes("one", "two"))
        found = Path(ended.config.log_path).read_text().splitlines()
        line = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) (stdout F one|stderr F two|stdout [FP] tail)")
        assert len({line.fullmatch(text)[1] for text in found}) == 3

    def answers_on_port(self):
        return {"command": ("sh", "-c", f"while true; do printf hello | nc -l -p {self.port}; done")}
