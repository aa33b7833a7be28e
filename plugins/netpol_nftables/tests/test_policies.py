"""The nftables filter keeps every rule of the network policy contract."""

import pytest

from bareboat.contracts.netpolicy import PolicyState, Rule
from bareboat.testing.netpolicy_suite import A, NetworkPolicySuite, isolated, tcp
from bareboat_netpol_nftables.plugin import NftablesPolicies
from bareboat_netpol_nftables.ruleset import ruleset


@pytest.mark.root
class TestNftables(NetworkPolicySuite):
    driver_class = NftablesPolicies


def test_the_same_state_gives_the_same_text():
    state = PolicyState(pods=(isolated(A, ingress=(Rule(anyone=True, ports=(tcp(80),)),)),))
    assert ruleset("t", state) == ruleset("t", state)


def test_without_isolated_pods_no_table_is_left():
    assert ruleset("t", PolicyState()).split("\n") == ["table ip t {}", "delete table ip t", ""]
