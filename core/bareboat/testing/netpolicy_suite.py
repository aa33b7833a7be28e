"""The rules of the network policy contract as a test suite: subclass it and return a factory. Needs root and namespaces of this machine.

class TestMyFilter(NetworkPolicySuite):
    driver_class = MyFilter

The driver's verbs run with the network of a node that routes between three pods; what passes is asked for with real packets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from bareboat.contracts.errors import DriverError
from bareboat.contracts.netpolicy import GROUP, AddressSet, Block, IsolatedPod, NetworkPolicyDriver, PolicyState, PortRange, Rule
from bareboat.testing.driver_suite import Soundness
from bareboat.testing.host import FakeHost
from bareboat.testing.network_lab import BRIEFLY, PATIENCE, Node, available

pytestmark = pytest.mark.root
NODE: Final = "10.235.0.1"
A, B, C = "10.235.0.11", "10.235.0.12", "10.235.0.20"
NAME: Final = "ab" * 8


class Subject:
    """A driver on a node with three pods that serve TCP and UDP on 8080, 8081 and 8090; so does the node."""

    def __init__(self, node: Node, driver: NetworkPolicyDriver) -> None:
        self._node = node
        self._driver = driver

    async def sync(self, *pods: IsolatedPod, sets: tuple[AddressSet, ...] = ()) -> None:
        await self._node.run(self._driver.sync(PolicyState(pods=pods, sets=sets)))

    async def teardown(self) -> None:
        await self._node.run(self._driver.teardown())

    async def passes(self, source: str, target: str, port: int = 8080, protocol: str = "tcp") -> bool:
        return bool(await self._ask(source, target, port, protocol, PATIENCE))

    async def stopped(self, source: str, target: str, port: int = 8080, protocol: str = "tcp") -> bool:
        return not await self._ask(source, target, port, protocol, BRIEFLY)

    async def _ask(self, source: str, target: str, port: int, protocol: str, patience: float) -> str:
        space = self._node if source == NODE else self._node.pods[source]
        return await space.ask(target, port, protocol, patience)


def isolated(address: str, ingress: tuple[Rule, ...] | None = None, egress: tuple[Rule, ...] | None = None) -> IsolatedPod:
    return IsolatedPod(name=f"default/{address}", address=address, ingress=ingress, egress=egress)


def tcp(first: int, last: int = 0) -> PortRange:
    return PortRange(protocol="TCP", first=first, last=last or first)


def to(cidr: str, *ports: PortRange) -> Rule:
    return Rule(blocks=(Block(cidr=cidr),), ports=ports)


class NetworkPolicySuite(Soundness):
    """Every rule of contracts.netpolicy, against the driver that ``driver_class`` names."""

    group = GROUP

    @pytest.fixture(scope="class")
    @classmethod
    def node(cls) -> Iterator[Node]:
        if not available():
            pytest.skip("namespaces need root")
        found = Node(NODE, [A, B, C])
        for space in (found, *found.pods.values()):
            space.serve(8080, 8081, 8090)
        yield found
        found.close()

    @pytest.fixture
    async def subject(self, node: Node, tmp_path: Path) -> AsyncIterator[Subject]:
        driver = self.make_driver(FakeHost(tmp_path))
        await node.run(driver.open())
        yield Subject(node, driver)
        await node.run(driver.teardown())
        await node.run(driver.close())

    async def test_an_isolated_pod_is_reached_by_its_node_and_itself_alone(self, subject: Subject) -> None:
        assert await subject.passes(C, A)
        await subject.sync(isolated(A, ingress=()))
        assert await subject.stopped(C, A)
        assert await subject.stopped(C, A, protocol="udp")
        assert await subject.passes(NODE, A)
        assert await subject.passes(A, A)
        assert await subject.passes(A, C), "egress is not isolated, and replies pass"
        assert await subject.passes(C, B)

    async def test_a_set_of_pods_and_ports_is_let_in(self, subject: Subject) -> None:
        rule = Rule(sets=(NAME,), ports=(tcp(8080), tcp(8085, 8095)))
        await subject.sync(isolated(A, ingress=(rule,)), sets=(AddressSet(name=NAME, addresses=(B,)),))
        assert await subject.passes(B, A, 8080)
        assert await subject.passes(B, A, 8090)
        assert await subject.stopped(B, A, 8081)
        assert await subject.stopped(B, A, 8080, "udp")
        assert await subject.stopped(C, A, 8080)

    async def test_a_set_may_be_empty_and_change(self, subject: Subject) -> None:
        rule = Rule(sets=(NAME,))
        await subject.sync(isolated(A, ingress=(rule,)), sets=(AddressSet(name=NAME),))
        assert await subject.stopped(B, A)
        await subject.sync(isolated(A, ingress=(rule,)), sets=(AddressSet(name=NAME, addresses=(B,)),))
        assert await subject.passes(B, A)

    async def test_overlapping_ports_and_blocks_are_fine(self, subject: Subject) -> None:
        rule = Rule(blocks=(Block(cidr="10.235.0.0/16"), Block(cidr="10.235.0.0/24")), ports=(tcp(8000, 8100), tcp(8080), tcp(8080)))
        await subject.sync(isolated(A, ingress=(rule, rule)))
        assert await subject.passes(B, A)

    async def test_a_block_lets_in_all_but_what_it_excepts(self, subject: Subject) -> None:
        await subject.sync(isolated(A, ingress=(Rule(blocks=(Block(cidr="10.235.0.0/24", excepted=(f"{C}/32",)),)),)))
        assert await subject.passes(B, A)
        assert await subject.stopped(C, A)
        await subject.sync(isolated(A, ingress=(Rule(blocks=(Block(cidr="0.0.0.0/0", excepted=(f"{B}/32",)),)),)))
        assert await subject.stopped(B, A)
        assert await subject.passes(C, A)

    async def test_anyone_is_anyone_on_the_ports_named(self, subject: Subject) -> None:
        await subject.sync(isolated(A, ingress=(Rule(anyone=True, ports=(PortRange(protocol="UDP"),)),)))
        assert await subject.passes(C, A, protocol="udp")
        assert await subject.stopped(C, A)

    async def test_egress_holds_for_pods_and_for_the_node(self, subject: Subject) -> None:
        await subject.sync(isolated(A, egress=(to(f"{B}/32", PortRange(protocol="TCP")),)))
        assert await subject.passes(A, B)
        assert await subject.stopped(A, B, protocol="udp")
        assert await subject.stopped(A, C)
        assert await subject.stopped(A, NODE), "the node is somewhere else, too"
        assert await subject.passes(C, A)
        await subject.sync(isolated(A, egress=(to(f"{NODE}/32", tcp(8081)),)))
        assert await subject.passes(A, NODE, 8081)
        assert await subject.stopped(A, NODE, 8080)

    async def test_what_the_node_answers_for_a_service_is_matched_by_either_address(self, subject: Subject, node: Node) -> None:
        translation = "type nat hook prerouting priority -100; ip daddr 10.235.0.99 tcp dport 80 dnat to 10.235.0.1:8080;"
        node.command("nft", f"table ip svc {{ chain p {{ {translation} }}; }}")
        try:
            for asked, port in (("10.235.0.99/32", 80), (f"{NODE}/32", 8080)):
                await subject.sync(isolated(A, egress=(to(asked, tcp(port)),)))
                assert await subject.passes(A, "10.235.0.99", 80)
            await subject.sync(isolated(A, egress=()))
            assert await subject.stopped(A, "10.235.0.99", 80)
        finally:
            node.command("nft", "delete", "table", "ip", "svc")

    async def test_sender_and_receiver_must_both_agree(self, subject: Subject) -> None:
        await subject.sync(isolated(A, egress=(Rule(anyone=True),)), isolated(B, ingress=()))
        assert await subject.stopped(A, B)
        await subject.sync(isolated(A, egress=(Rule(anyone=True),)), isolated(B, ingress=(Rule(anyone=True),)))
        assert await subject.passes(A, B)

    async def test_a_new_process_takes_over(self, subject: Subject, node: Node, tmp_path: Path) -> None:
        await subject.sync(isolated(A, ingress=()))
        successor = Subject(node, self.make_driver(FakeHost(tmp_path)))
        await successor.sync()
        assert await subject.passes(C, A)

    async def test_a_thousand_pods_and_the_same_state_again(self, subject: Subject) -> None:
        many = tuple(f"10.235.{i // 250 + 1}.{i % 250 + 1}" for i in range(1000))
        rule = Rule(sets=(NAME,))
        pods = tuple(isolated(address, ingress=(rule,)) for address in (A, *many[:50]))
        for _ in range(3):
            await subject.sync(*pods, sets=(AddressSet(name=NAME, addresses=(*many, B)),))
        assert await subject.passes(B, A)
        assert await subject.stopped(C, A)

    async def test_the_end_leaves_nothing(self, subject: Subject, node: Node) -> None:
        before = node.command("nft", "list", "ruleset")
        await subject.sync(isolated(A, ingress=()))
        for _ in range(2):
            await subject.teardown()
        assert node.command("nft", "list", "ruleset") == before
        assert await subject.passes(C, A)

    async def test_what_the_host_refuses_is_said_and_changes_nothing(self, subject: Subject) -> None:
        await subject.sync(isolated(A, ingress=()))
        with pytest.raises(DriverError):
            await subject.sync(isolated(A, ingress=(Rule(sets=("0" * 16,)),)))
        assert await subject.stopped(C, A)

    def test_values_survive_an_encoding(self) -> None:
        state = PolicyState(pods=(isolated(A, ingress=(to("10.0.0.0/8", tcp(1, 2)),)),), sets=(AddressSet(name=NAME, addresses=(B,)),))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=PolicyState) == state
