"""The bridge keeps the rules of the network contract, on real namespaces."""

import os
import subprocess
import uuid

import pytest

from bareboat.testing.cni_suite_verbs import NetworkVerbs
from bareboat_cni_bridge.plugin import BridgeNetwork


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestBridge(NetworkVerbs):
    driver_class = BridgeNetwork
    cidr, small = "10.229.7.0/24", "10.229.9.0/29"  # not those of test_bridge: the kernel takes its time to let go of a bridge

    async def make_netns(self, name):
        path = f"/run/netns/bbtest-{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", path.rpartition("/")[2]], check=True)
        return path

    async def remove_netns(self, path):
        subprocess.run(["ip", "netns", "del", path.rpartition("/")[2]], check=False, capture_output=True)
