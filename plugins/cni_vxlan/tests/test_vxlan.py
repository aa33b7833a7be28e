"""The rules of the network contract with the overlay, and the overlay between two nodes."""

import subprocess

import pytest

from bareboat.contracts.cni import Attachment, NetworkConfig
from bareboat.contracts.errors import Conflict
from bareboat.testing.cni_packets import PacketSuite
from bareboat.testing.host import FakeHost
from bareboat.testing.network_lab import BRIEFLY, Node, Space, available
from bareboat_cni_vxlan.options import VxlanOptions
from bareboat_cni_vxlan.overlay import Endpoint
from bareboat_cni_vxlan.plugin import VxlanNetwork

CLUSTER = {"cluster_cidr": "10.236.0.0/16", "service_cidr": "10.237.0.0/16"}


@pytest.mark.root
class TestVxlan(PacketSuite):
    driver_class = VxlanNetwork
    options = {"vni": 7001}

    async def test_a_second_cluster_with_the_same_network_is_told_what_to_do(self, network, tmp_path):
        other = self.make_driver(FakeHost(tmp_path / "other"))
        with pytest.raises(Conflict, match="give this cluster another `vni`"):
            await other.configure(self.config("10.231.9.0/24"))
        await other.teardown()


def test_the_end_of_the_tunnel_follows_from_the_range():
    assert Endpoint.of("10.244.3.0/24") == Endpoint("10.244.3.0/24", "10.244.3.0", "02:bb:0a:f4:03:00")


@pytest.fixture
def machines():
    """Two nodes with an underlay of their own between them, which knows nothing of pods."""
    if not available():
        pytest.skip("namespaces need root")
    nodes = [Node(f"10.236.255.{i}", []) for i in (1, 2)]
    nodes[0].ip("link", "add", "under", "type", "veth", "peer", "name", "under", "netns", nodes[1].name)
    for i, node in enumerate(nodes, 1):
        node.ip("addr", "add", f"192.0.2.{i}/24", "dev", "under")
        node.ip("link", "set", "under", "up")
        node.ip("route", "add", "default", "dev", "under")
    yield nodes
    for node in nodes:
        node.close()


@pytest.mark.root
async def test_pods_of_two_nodes_reach_each_other_over_the_tunnel(machines, tmp_path):
    ranges = ["10.236.1.0/24", "10.236.2.0/24"]
    drivers = [VxlanNetwork(VxlanOptions(), FakeHost(tmp_path / str(i))) for i in (1, 2)]
    pods = [Space(), Space()]
    results = []
    try:
        for i, (node, driver) in enumerate(zip(machines, drivers, strict=True)):
            other = (ranges[1 - i], f"192.0.2.{2 - i}")
            config = NetworkConfig(pod_cidr=ranges[i], peers=(other,), **CLUSTER)
            await node.run(driver.configure(config))
            results.append(await node.run(driver.add(Attachment(container_id="p", netns=pods[i].path))))
        addresses = [r.ips[0].split("/")[0] for r in results]
        for pod in pods:
            pod.serve(8080)
        assert await pods[0].ask(addresses[1]) == addresses[0]
        assert await pods[1].ask(addresses[0], protocol="udp") == addresses[1]
        large = f"import socket; s=socket.create_connection(('{addresses[1]}', 8080), 3); print(s.getsockopt(6, 2))"
        assert int(pods[0].command("python3", "-c", large)) <= 1450 - 40, "packets fit into the envelope"
        assert "10.236.2.0/24 via 10.236.2.0" in machines[0].ip("route")
        await machines[0].run(drivers[0].configure(NetworkConfig(pod_cidr=ranges[0], **CLUSTER)))
        assert "10.236.2.0" not in machines[0].ip("route")
        assert machines[0].command("bridge", "fdb").count("192.0.2.2") == 0
        assert await pods[0].ask(addresses[1], patience=BRIEFLY) == ""
    finally:
        for node, driver in zip(machines, drivers, strict=True):
            await node.run(driver.teardown())
        for pod in pods:
            pod.close()
    assert "vxlan" not in subprocess.run(["ip", "-n", machines[0].name, "-d", "link"], capture_output=True, text=True, check=True).stdout
