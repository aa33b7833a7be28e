"""The conformance suite of the proxy contract: every rule of ``contracts.proxy`` against the driver that a subclass names.

    class TestMyProxy(ProxySuite):
        driver_class = MyProxy

        async def rules(self, driver): ...      # what the host has now, as something that can be compared

Without ``rules`` only what can be seen from outside is tested: whether the verbs take what they must and repeat without harm.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from bareboat.contracts.proxy import GROUP, Backend, ProxyState, ServicePort
from bareboat.testing.driver_suite import DriverSuite, round_trips


def state(*services: ServicePort) -> ProxyState:
    return ProxyState(services=services, node_addresses=("192.0.2.10",), pod_cidr="10.244.7.0/24", cluster_cidr="10.244.0.0/16")


def web(*hosts: int, name: str = "default/web:", **fields: Any) -> ServicePort:
    backends = tuple(Backend(address=f"10.244.7.{h}", port=8080, local=True) for h in hosts)
    made = ServicePort(name=name, protocol="TCP", port=80, addresses=("10.96.0.20",), backends=backends, external_backends=backends)
    return msgspec.structs.replace(made, **fields)


CASES = {
    "no services": state(),
    "one backend": state(web(11)),
    "many backends": state(web(*range(11, 60))),
    "no backends": state(web()),
    "a node port": state(web(11, 12, node_port=30080)),
    "affinity": state(web(11, 12, affinity_seconds=60)),
    "external addresses": state(web(11, external_addresses=("198.51.100.7",))),
    "source ranges": state(web(11, external_addresses=("198.51.100.7",), source_ranges=("203.0.113.0/24",))),
    "local traffic": state(web(11, node_port=30081, preserve_source=True)),
    "UDP": state(web(11, protocol="UDP", port=53)),
    "SCTP": state(web(11, protocol="SCTP", port=99)),
    "two ports of one address": state(web(11), web(11, name="default/web:tls", port=443)),
}


class ProxySuite(DriverSuite):
    """Cases whose protocol the capabilities leave out are skipped."""

    group = GROUP

    async def rules(self, driver: Any) -> Any:
        """What the host has of this driver now; None: it cannot be seen."""
        return None

    def offered(self, case: ProxyState) -> ProxyState:
        protocols = self.driver_class.capabilities.protocols if self.driver_class is not None else ("TCP", "UDP", "SCTP")
        if any(s.protocol not in protocols for s in case.services):
            pytest.skip("the driver does not offer the protocol, as its capabilities say")
        return case

    @pytest.mark.parametrize("case", CASES)
    async def test_a_state_is_taken_and_repeating_it_changes_nothing(self, driver: Any, case: str) -> None:
        wanted = self.offered(CASES[case])
        assert round_trips(wanted)
        await driver.sync(wanted)
        first = await self.rules(driver)
        for _ in range(2):
            await driver.sync(wanted)
            assert await self.rules(driver) == first

    async def test_the_host_is_what_the_last_state_says(self, driver: Any) -> None:
        await driver.sync(state(web(11)))
        one = await self.rules(driver)
        await driver.sync(state(web(11, 12), web(13, name="default/other:", addresses=("10.96.0.21",))))
        await driver.sync(state(web(11)))
        assert await self.rules(driver) == one

    async def test_the_order_of_services_does_not_matter(self, driver: Any) -> None:
        one, two = web(11), web(12, name="default/other:", addresses=("10.96.0.21",))
        await driver.sync(state(one, two))
        first = await self.rules(driver)
        await driver.sync(state(two, one))
        assert await self.rules(driver) == first

    async def test_a_thousand_services_are_taken_at_once(self, driver: Any) -> None:
        many = [web(11, name=f"default/s{n}:", addresses=(f"10.96.{4 + n // 250}.{1 + n % 250}",)) for n in range(1000)]
        async with asyncio.timeout(10):
            await driver.sync(state(*many))

    async def test_a_new_process_takes_over_without_a_trace_of_what_is_gone(self, driver: Any) -> None:
        await driver.sync(state(web(11)))
        one = await self.rules(driver)
        await driver.sync(state(web(11), web(12, name="default/gone:", addresses=("10.96.0.29",))))
        new = await self.again(driver)
        await new.sync(state(web(11)))
        assert await self.rules(new) == one
        await new.teardown()

    async def test_a_cancelled_sync_is_mended_by_the_next(self, driver: Any) -> None:
        await driver.sync(state(web(11)))
        one = await self.rules(driver)
        for pause in (0.0, 0.001, 0.01):
            task = asyncio.ensure_future(driver.sync(state(web(11, 12))))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await driver.sync(state(web(11)))
            assert await self.rules(driver) == one

    async def test_teardown_leaves_nothing_and_may_be_repeated(self, driver: Any) -> None:
        empty = await self.rules(driver)
        await driver.sync(state(web(11)))
        for _ in range(3):
            await driver.teardown()
        assert await self.rules(driver) == empty
        await driver.sync(state(web(11)))
