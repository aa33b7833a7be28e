"""What a network does to real packets, on top of the rules of ``cni_suite``: subclass it for drivers that work on this machine's kernel.

class TestMyNetwork(PacketSuite):
    driver_class = MyNetwork

Needs root. Namespaces are made and removed here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bareboat.contracts.cni import Attachment, NetworkConfig, Result
from bareboat.contracts.cri import PortMapping
from bareboat.contracts.errors import NotFound
from bareboat.testing.cni_suite import NetworkSuite
from bareboat.testing.network_lab import BRIEFLY, Space, ask, available

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class PacketSuite(NetworkSuite):
    """``gateway`` is the node's own address on the network, which pods see as the sender of what the node sends."""

    cidr, small = "10.231.7.0/24", "10.231.8.0/29"
    gateway: ClassVar[str] = "10.231.7.1"
    host_port: ClassVar[int] = 18099

    def config(self, cidr: str = "") -> NetworkConfig:
        return NetworkConfig(pod_cidr=cidr or self.cidr, cluster_cidr="10.231.0.0/16", service_cidr="10.232.0.0/16")

    @pytest.fixture(autouse=True)
    def spaces(self) -> Iterator[dict[str, Space]]:
        """By path."""
        if not available():
            pytest.skip("namespaces need root")
        self._spaces: dict[str, Space] = {}
        yield self._spaces
        for space in self._spaces.values():
            space.close()

    async def make_netns(self, name: str) -> str:
        return self._space().path

    async def remove_netns(self, path: str) -> None:
        self._spaces[path].close()

    def _space(self) -> Space:
        space = Space()
        self._spaces[space.path] = space
        return space

    @pytest.fixture
    def pod(self, spaces: dict[str, Space]) -> Callable[[], Space]:
        return self._space

    async def test_pods_reach_each_other_with_their_own_addresses(self, network: Any, pod: Callable[[], Space]) -> None:
        one, two = pod(), pod()
        a, b = await network.add(_attachment("a", one)), await network.add(_attachment("b", two))
        two.serve(8080)
        assert await one.ask(_address(b)) == _address(a)
        assert await one.ask(_address(b), protocol="udp") == _address(a)
        assert await ask(_address(b)) == self.gateway

    async def test_a_pod_reaches_itself(self, network: Any, pod: Callable[[], Space]) -> None:
        space = pod()
        result = await network.add(_attachment("a", space))
        space.serve(8080)
        assert await space.ask(_address(result)) == _address(result)
        assert await space.ask("127.0.0.1")

    async def test_a_host_port_leads_to_its_pod_until_it_is_deleted(self, network: Any, pod: Callable[[], Space]) -> None:
        if not network.capabilities.port_mappings:
            pytest.skip("the driver does not offer hostPorts")
        space, client = pod(), pod()
        await network.add(_attachment("a", space, PortMapping(container_port=8080, host_port=self.host_port)))
        await network.add(_attachment("b", client))
        space.serve(8080)
        assert await ask(self.gateway, self.host_port)
        assert await client.ask(self.gateway, self.host_port)
        assert await space.ask(self.gateway, self.host_port), "a pod reaches its own hostPort"
        await network.delete("a")
        assert await ask(self.gateway, self.host_port, patience=BRIEFLY) == ""

    async def test_a_host_port_of_the_loopback_address_is_the_node_s_alone(self, network: Any, pod: Callable[[], Space]) -> None:
        if not network.capabilities.port_mappings:
            pytest.skip("the driver does not offer hostPorts")
        space, client = pod(), pod()
        mapping = PortMapping(container_port=8080, host_port=self.host_port, host_ip="127.0.0.1")
        await network.add(_attachment("a", space, mapping))
        await network.add(_attachment("b", client))
        space.serve(8080)
        assert await ask("127.0.0.1", self.host_port)
        assert await client.ask(self.gateway, self.host_port, patience=BRIEFLY) == ""

    async def test_check_notices_what_is_gone(self, network: Any, pod: Callable[[], Space]) -> None:
        space = pod()
        attachment = _attachment("a", space)
        await network.add(attachment)
        await network.check(attachment)
        space.ip("link", "del", "eth0")
        with pytest.raises(NotFound):
            await network.check(attachment)

    async def test_an_unknown_namespace_is_not_found_and_takes_no_address(self, network: Any, pod: Callable[[], Space]) -> None:
        with pytest.raises(NotFound):
            await network.add(Attachment(container_id="a", netns="/run/netns/no-such"))
        await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_the_end_leaves_nothing(self, network: Any, pod: Callable[[], Space]) -> None:
        await network.teardown()
        before, forwarding = footprint(network.host.instance), FORWARDING.read_text()
        await network.configure(self.config())
        await network.add(_attachment("a", pod(), PortMapping(container_port=8080, host_port=self.host_port)))
        assert footprint(network.host.instance) != before
        for _ in range(2):
            await network.teardown()
        assert footprint(network.host.instance) == before
        assert FORWARDING.read_text() == forwarding


def footprint(instance: str) -> list[str]:
    """Lines about links and tables of this instance on the machine."""
    said = ""
    for command in (["ip", "-o", "link"], ["nft", "list", "tables"]):
        said += subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return [line for line in said.split("\n") if instance in line]


def _attachment(name: str, space: Space, *ports: PortMapping) -> Attachment:
    return Attachment(container_id=name, netns=space.path, ports=ports)


def _address(result: Result) -> str:
    return result.ips[0].split("/")[0]
