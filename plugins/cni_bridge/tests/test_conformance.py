"""The bridge keeps the rules of the network contract, on real namespaces."""

import pytest

from bareboat.testing.cni_packets import PacketSuite
from bareboat_cni_bridge.plugin import BridgeNetwork


@pytest.mark.root
class TestBridge(PacketSuite):
    driver_class = BridgeNetwork
