"""The fakes keep the rules of their contracts."""

from bareboat.testing.cni_suite import NetworkSuite
from bareboat.testing.proxy_suite import ProxySuite
from bareboat_cri_fake.plugin import FakeNetwork, FakeProxy


class TestFakeNetwork(NetworkSuite):
    driver_class = FakeNetwork


class TestFakeProxy(ProxySuite):
    driver_class = FakeProxy

    async def rules(self, driver):
        return driver.state and sorted(driver.state.services, key=lambda s: s.name)
