"""The rules of the network contract over real CNI binaries: those of Debian's containernetworking-plugins, and our own."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bareboat.testing.cni_packets import PacketSuite
from bareboat_cni_exec.plugin import ExecNetwork

BINARIES = Path("/usr/lib/cni")

BRIDGE = {
    "cniVersion": "1.0.0",
    "name": "pods-{instance}",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "b{instance}",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not (BINARIES / "bridge").exists(), reason="needs root and containernetworking-plugins")
class TestUpstreamBridge(PacketSuite):
    driver_class = ExecNetwork
    options = {"config": BRIDGE, "binDir": str(BINARIES)}

    @pytest.fixture(autouse=True)
    def swept(self, host):
        """Debian's bridge forgets the masquerade of a pod whose namespace went before it."""
        yield
        sweep(f"pods-{host.instance}")


def sweep(network):
    """Remove the chains of a network from the table of translations."""
    rules = subprocess.run(["iptables", "-t", "nat", "-S"], capture_output=True, text=True, check=True).stdout.splitlines()
    mine = [line for line in rules if network in line and line.startswith("-A ")]
    chains = {word for line in mine for word in shlex.split(line) if word.startswith("CNI-") and not word.startswith("CNI-HOSTPORT")}
    for line in mine:
        subprocess.run(["iptables", "-t", "nat", "-D", *shlex.split(line)[1:]], check=True)
    for chain in chains:
        subprocess.run(["iptables", "-t", "nat", "-X", chain], check=True)


OURS = {
    "cniVersion": "1.1.0",
    "name": "pods-{instance}",
    "plugins": [
        {
            "type": "bareboat-cni",
            "driver": "bridge",
            "instance": "{instance}",
            "podCIDR": "{podCIDR}",
            "clusterCIDR": "{clusterCIDR}",
            "serviceCIDR": "{serviceCIDR}",
            "capabilities": {"portMappings": True},
        }
    ],
}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestOurBridgeAsABinary(PacketSuite):
    """The proxy over our own face: nothing is lost between the two."""

    driver_class = ExecNetwork
    options = {"config": OURS, "binDir": str(Path(sys.executable).parent)}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestOurOverlayAsABinary(PacketSuite):
    driver_class = ExecNetwork
    options = {
        "config": {**OURS, "plugins": [{**OURS["plugins"][0], "driver": "vxlan"}]},
        "binDir": str(Path(sys.executable).parent),
    }
