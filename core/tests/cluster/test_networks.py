"""Networks of clusters that share a machine."""

import pytest

from bareboat.cluster import networks
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import Networking
from bareboat.cluster.layout import Layout

ROUTE = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\nbr0\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """With a route to 10.244.0.0/16, and no cluster yet; makes clusters."""
    (tmp_path / "route").write_text(ROUTE)
    monkeypatch.setattr(networks, "ROUTES", tmp_path / "route")
    monkeypatch.setattr(networks, "BOOK", tmp_path / "run" / "networks.json")

    return lambda name: Layout(tmp_path / name)


def settle(layout, networking=None, *, former=None, separate=False):
    return networks.settled(layout, networking or Networking(), former=former, separate=separate)


def test_defaults_keep_clear_of_routes_and_of_clusters_that_only_start(machine):
    first, second = settle(machine("a")), settle(machine("b"))
    assert (first.podCIDR, first.serviceCIDR) == ("10.243.0.0/16", "10.96.0.0/16")
    assert (second.podCIDR, second.serviceCIDR) == ("10.242.0.0/16", "10.97.0.0/16")


def test_the_same_cluster_keeps_what_it_has(machine):
    first = settle(machine("a"))
    assert settle(machine("a"), first, former=first) == first


def test_what_was_chosen_stays_when_the_file_that_the_cluster_is_started_with_again_names_no_networks(machine):
    first = settle(machine("a"))
    again = settle(machine("a"), Networking(nodePorts="31000-32000"), former=first)
    assert again == Networking(podCIDR=first.podCIDR, serviceCIDR=first.serviceCIDR, nodePorts="31000-32000")


def test_what_another_cluster_has_is_refused_where_it_was_asked_for(machine):
    first = settle(machine("a"))
    with pytest.raises(ClusterError, match=r"network 10.243.0.0/16 is the cluster's in .*/a: name another"):
        settle(machine("b"), first)


def test_service_networks_of_separate_hosts_may_be_the_same(machine):
    first = settle(machine("a"), separate=True)
    second = settle(machine("b"), separate=True)
    assert first.serviceCIDR == second.serviceCIDR
    assert first.podCIDR != second.podCIDR


def test_the_networks_of_a_cluster_that_is_gone_are_free_again(machine):
    gone = machine("a")
    first = settle(gone)
    gone.data_dir.rmdir()
    assert settle(machine("b")) == first
