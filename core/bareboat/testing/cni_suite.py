"""The rules of the network contract as a test suite: subclass it and return a factory. Needs root and namespaces of this machine.

class TestMyNetwork(NetworkSuite):
    def make(self, host): return MyNetwork(MyOptions(), host)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from bareboat.contracts.cni import GROUP, Attachment, NetworkConfig, NetworkDriver, Result
from bareboat.contracts.cri import PortMapping
from bareboat.contracts.driver import Host
from bareboat.contracts.errors import Conflict, Exhausted, InvalidConfig, NotFound
from bareboat.testing.driver_suite import Soundness
from bareboat.testing.host import FakeHost
from bareboat.testing.network_lab import BRIEFLY, Space, ask, available

pytestmark = pytest.mark.root
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class NetworkSuite(Soundness):
    """Every rule of contracts.cni, against the driver that ``make`` gives."""

    group = GROUP
    config: ClassVar[NetworkConfig] = NetworkConfig(pod_cidr="10.231.7.0/24", cluster_cidr="10.231.0.0/16", service_cidr="10.232.0.0/16")
    #: The node's own address on the network, which pods see as the sender of what the node sends.
    gateway: ClassVar[str] = "10.231.7.1"
    host_port: ClassVar[int] = 18099

    def make(self, host: Host) -> NetworkDriver:
        driver: NetworkDriver = self.make_driver(host)
        return driver

    @pytest.fixture
    async def network(self, tmp_path: Path) -> AsyncIterator[NetworkDriver]:
        if not available():
            pytest.skip("namespaces need root")
        driver = self.make(FakeHost(tmp_path))
        await driver.open()
        yield driver
        await driver.teardown()
        await driver.close()

    @pytest.fixture
    def pod(self) -> Iterator[Callable[[], Space]]:
        made: list[Space] = []

        def make() -> Space:
            made.append(Space())
            return made[-1]

        yield make
        for space in made:
            space.close()

    async def test_before_it_is_configured_it_is_not_ready(self, network: NetworkDriver) -> None:
        assert not (await network.status()).ready
        await network.configure(self.config)
        assert (await network.status()).ready

    async def test_pods_reach_each_other_with_their_own_addresses(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        one, two = pod(), pod()
        a, b = await network.add(_attachment("a", one)), await network.add(_attachment("b", two))
        two.serve(8080)
        assert await one.ask(_address(b)) == _address(a)
        assert await one.ask(_address(b), protocol="udp") == _address(a)
        assert await ask(_address(b)) == self.gateway

    async def test_a_pod_reaches_itself(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        space = pod()
        result = await network.add(_attachment("a", space))
        space.serve(8080)
        assert await space.ask(_address(result)) == _address(result)
        assert await space.ask("127.0.0.1")

    async def test_addresses_are_of_the_node_s_range_and_differ(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        results = [await network.add(_attachment(name, pod())) for name in "abc"]
        assert len({_address(r) for r in results}) == 3
        assert all(_address(r).startswith("10.231.7.") for r in results)

    async def test_a_host_port_leads_to_its_pod_until_it_is_deleted(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        if not network.capabilities.port_mappings:
            pytest.skip("the driver does not offer hostPorts")
        await network.configure(self.config)
        space, client = pod(), pod()
        await network.add(_attachment("a", space, PortMapping(container_port=8080, host_port=self.host_port)))
        await network.add(_attachment("b", client))
        space.serve(8080)
        assert await ask(self.gateway, self.host_port)
        assert await client.ask(self.gateway, self.host_port)
        assert await space.ask(self.gateway, self.host_port), "a pod reaches its own hostPort"
        await network.delete("a")
        assert await ask(self.gateway, self.host_port, patience=BRIEFLY) == ""

    async def test_a_host_port_of_the_loopback_address_is_the_node_s_alone(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        if not network.capabilities.port_mappings:
            pytest.skip("the driver does not offer hostPorts")
        await network.configure(self.config)
        space, client = pod(), pod()
        mapping = PortMapping(container_port=8080, host_port=self.host_port, host_ip="127.0.0.1")
        await network.add(_attachment("a", space, mapping))
        await network.add(_attachment("b", client))
        space.serve(8080)
        assert await ask("127.0.0.1", self.host_port)
        assert await client.ask(self.gateway, self.host_port, patience=BRIEFLY) == ""

    async def test_every_verb_may_be_repeated(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        for _ in range(3):
            await network.configure(self.config)
        space = pod()
        results = [await network.add(_attachment("a", space)) for _ in range(3)]
        assert results[0] == results[1] == results[2]
        await network.check(_attachment("a", space))
        for _ in range(3):
            await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_the_same_key_with_another_namespace_is_a_conflict(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        await network.add(_attachment("a", pod()))
        with pytest.raises(Conflict):
            await network.add(_attachment("a", pod()))

    async def test_check_notices_what_is_gone(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        space = pod()
        attachment = _attachment("a", space)
        with pytest.raises(NotFound):
            await network.check(attachment)
        await network.add(attachment)
        await network.check(attachment)
        space.ip("link", "del", "eth0")
        with pytest.raises(NotFound):
            await network.check(attachment)

    async def test_a_new_process_knows_the_attachments_and_collects_the_rest(
        self, network: NetworkDriver, pod: Callable[[], Space], tmp_path: Path
    ) -> None:
        await network.configure(self.config)
        kept = _attachment("kept", pod())
        before = await network.add(kept)
        await network.add(_attachment("gone", pod()))
        await network.close()
        successor = self.make(FakeHost(tmp_path))
        await successor.open()
        assert set(await successor.list_attachments()) == {"kept", "gone"}
        await successor.configure(self.config)
        await successor.gc(frozenset({"kept"}))
        assert await successor.list_attachments() == {"kept": before}
        await successor.check(kept)
        assert _address(await successor.add(_attachment("new", pod()))) != _address(before)
        await successor.teardown()

    async def test_deleting_after_the_namespace_is_gone_succeeds(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        space = pod()
        await network.add(_attachment("a", space))
        space.close()
        await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_an_unknown_namespace_is_not_found_and_takes_no_address(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(self.config)
        with pytest.raises(NotFound):
            await network.add(Attachment(container_id="a", netns="/run/netns/no-such"))
        await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_a_full_range_says_so_and_what_is_released_comes_back(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        await network.configure(msgspec.structs.replace(self.config, pod_cidr="10.231.8.0/30"))
        await network.add(_attachment("a", pod()))
        with pytest.raises(Exhausted):
            await network.add(_attachment("b", pod()))
        await network.delete("a")
        await network.delete("b")
        await network.add(_attachment("c", pod()))

    async def test_a_range_that_is_none_is_refused(self, network: NetworkDriver) -> None:
        with pytest.raises(InvalidConfig):
            await network.configure(msgspec.structs.replace(self.config, pod_cidr="10.231.7.1/8"))

    async def test_the_end_leaves_nothing(self, network: NetworkDriver, pod: Callable[[], Space]) -> None:
        before, forwarding = footprint(network.host.instance), FORWARDING.read_text()
        await network.configure(self.config)
        await network.add(_attachment("a", pod(), PortMapping(container_port=8080, host_port=self.host_port)))
        assert footprint(network.host.instance) != before
        for _ in range(2):
            await network.teardown()
        assert footprint(network.host.instance) == before
        assert FORWARDING.read_text() == forwarding

    def test_values_survive_an_encoding(self) -> None:
        for value in (self.config, Attachment(container_id="a", netns="/n", ports=(PortMapping(container_port=1, host_port=2),))):
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value)) == value


def footprint(instance: str) -> list[str]:
    """Lines about links and tables of this instance on the machine."""
    import subprocess

    said = ""
    for command in (["ip", "-o", "link"], ["nft", "list", "tables"]):
        said += subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return [line for line in said.split("\n") if instance in line]


def _attachment(name: str, space: Space, *ports: PortMapping) -> Attachment:
    return Attachment(container_id=name, netns=space.path, ports=ports)


def _address(result: Result) -> str:
    return result.ips[0].split("/")[0]
