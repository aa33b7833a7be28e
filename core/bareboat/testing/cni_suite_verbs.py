"""The verbs of the network contract as a test suite, without root and without a packet: what ``cni_suite`` asks beside is real traffic.

    class TestMyVerbs(NetworkVerbs):
        driver_class = MyNetwork

It needs no namespaces by itself; a driver that works on real ones gives them in ``make_netns`` and takes them back in ``remove_netns``.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from bareboat.contracts.cni import GROUP, Attachment, NetworkConfig, Result
from bareboat.contracts.cri import PortMapping
from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InProgress, InvalidConfig, NotFound
from bareboat.testing.driver_suite import DriverSuite, round_trips


class NetworkVerbs(DriverSuite):
    """``cidr`` is what the driver gives addresses of; ``small`` one whose addresses a test uses up."""

    group = GROUP
    cidr: ClassVar[str] = "10.244.7.0/24"
    small: ClassVar[str] = "10.244.9.0/29"
    most: ClassVar[int] = 8

    async def make_netns(self, name: str) -> str:
        """The path of a network namespace for a sandbox."""
        return f"/fake/netns/{name}"

    async def remove_netns(self, path: str) -> None:
        """It is no longer needed; may be gone already."""

    def config(self, cidr: str = "") -> NetworkConfig:
        return NetworkConfig(pod_cidr=cidr or self.cidr, cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16")

    @pytest_asyncio.fixture
    async def network(self, driver: Any) -> AsyncIterator[Any]:
        """Configured."""
        self._made: list[str] = []
        await driver.configure(self.config())
        yield driver
        for path in self._made:
            await self.remove_netns(path)

    async def attachment(self, name: str, **fields: Any) -> Attachment:
        path = await self.make_netns(name)
        self._made.append(path)
        return Attachment(container_id=name, netns=path, **fields)

    async def test_an_attachment_gets_an_address_of_the_node(self, network: Any) -> None:
        result = await network.add(await self.attachment("a"))
        address = ipaddress.ip_interface(result.ips[0])
        assert address.ip in ipaddress.ip_network(self.cidr)
        assert round_trips(result)
        assert await network.list_attachments() == {"a": result}

    async def test_adding_three_times_gives_the_same_result(self, network: Any) -> None:
        attachment = await self.attachment("a")
        results = [await network.add(attachment) for _ in range(3)]
        assert results[0] == results[1] == results[2]
        assert len(await network.list_attachments()) == 1

    async def test_one_key_with_other_ports_is_a_conflict(self, network: Any) -> None:
        attachment = await self.attachment("a")
        await network.add(attachment)
        changed = Attachment(container_id="a", netns=attachment.netns, ports=(PortMapping(host_port=31999, container_port=80),))
        with pytest.raises(Conflict):
            await network.add(changed)

    async def test_every_attachment_has_an_address_of_its_own(self, network: Any) -> None:
        results = [await network.add(await self.attachment(name)) for name in "abc"]
        assert len({r.ips[0] for r in results}) == 3

    async def test_two_calls_on_one_key_make_one_attachment(self, network: Any) -> None:
        attachment = await self.attachment("a")
        results = await asyncio.gather(*(network.add(attachment) for _ in range(4)), return_exceptions=True)
        assert all(isinstance(r, Result | InProgress) for r in results), results
        assert len({r.ips for r in results if isinstance(r, Result)}) == 1
        assert len(await network.list_attachments()) == 1

    async def test_deleting_three_times_and_deleting_the_unknown_succeed(self, network: Any) -> None:
        await network.add(await self.attachment("a"))
        for _ in range(3):
            await network.delete("a")
            assert await network.list_attachments() == {}
        await network.delete("no-such-sandbox")
        await network.delete("no-such-sandbox", "eth7")

    async def test_a_namespace_that_is_gone_can_be_deleted(self, network: Any) -> None:
        attachment = await self.attachment("a")
        await network.add(attachment)
        await self.remove_netns(attachment.netns)
        await network.delete("a")
        assert await network.list_attachments() == {}

    async def test_check_passes_for_what_is_there_and_not_for_what_is_not(self, network: Any) -> None:
        attachment = await self.attachment("a")
        with pytest.raises(NotFound):
            await network.check(attachment)
        await network.add(attachment)
        await network.check(attachment)
        await network.delete("a")
        with pytest.raises(NotFound):
            await network.check(attachment)

    async def test_gc_keeps_what_is_valid(self, network: Any) -> None:
        for name in "abc":
            await network.add(await self.attachment(name))
        for _ in range(2):
            await network.gc(frozenset({"b", "unknown"}))
            assert set(await network.list_attachments()) == {"b"}
        await network.gc(frozenset())
        assert await network.list_attachments() == {}

    async def test_addresses_survive_a_restart(self, network: Any) -> None:
        attachment = await self.attachment("a")
        before = await network.add(attachment)
        new = await self.again(network)
        await new.configure(self.config())
        assert await new.list_attachments() == {"a": before}
        assert await new.add(attachment) == before
        assert (await new.add(await self.attachment("b"))).ips != before.ips
        await new.teardown()

    async def test_the_same_configuration_again_changes_nothing(self, network: Any) -> None:
        before = await network.add(await self.attachment("a"))
        for _ in range(2):
            await network.configure(self.config())
        assert await network.list_attachments() == {"a": before}

    async def test_a_range_that_is_none_is_refused(self, driver: Any) -> None:
        for wrong in ("10.244.300.0/24", "nowhere", "10.244.7.0/40"):
            with pytest.raises(InvalidConfig):
                await driver.configure(self.config(wrong))

    async def test_an_empty_pool_is_exhausted_and_a_freed_address_comes_back(self, driver: Any) -> None:
        self._made = []
        await driver.configure(self.config(self.small))
        given: list[Result] = []
        with pytest.raises(Exhausted):
            await self._fill(driver, given)
        assert len({r.ips for r in given}) == len(given) >= 2
        await driver.delete("s0")
        assert (await driver.add(await self.attachment("again"))).ips == given[0].ips
        await driver.gc(frozenset())
        for path in self._made:
            await self.remove_netns(path)

    async def _fill(self, driver: Any, given: list[Result]) -> None:
        for number in range(self.most + 1):
            given.append(await driver.add(await self.attachment(f"s{number}")))

    async def test_a_cancelled_add_can_be_repeated_or_undone(self, network: Any) -> None:
        attachment = await self.attachment("a")
        for pause in (0.0, 0.001, 0.01):
            task = asyncio.ensure_future(network.add(attachment))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._settled(network.add, attachment)
            assert set(await network.list_attachments()) == {"a"}
            await self._settled(network.delete, "a")
            assert await network.list_attachments() == {}

    async def _settled(self, verb: Any, argument: Any) -> Any:
        for _ in range(500):
            try:
                return await verb(argument)
            except InProgress:
                await asyncio.sleep(0.01)
        raise AssertionError("still InProgress after 5 s")

    async def test_teardown_leaves_nothing_and_may_be_repeated(self, network: Any) -> None:
        await network.add(await self.attachment("a"))
        for _ in range(3):
            await network.teardown()
        new = await self.again(network)
        try:
            assert await new.list_attachments() == {}
        except DriverError as error:
            raise AssertionError("after a teardown the driver must begin anew") from error
