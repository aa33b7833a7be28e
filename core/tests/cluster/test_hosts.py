"""Networks and addresses of node hosts, and what status makes of metrics."""

import ipaddress

import pytest

from bareboat.cluster import state as states
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.hosts import Hosts
from bareboat.cluster.layout import Layout
from bareboat.cluster.nodes import Nodes
from bareboat.cluster.standing import parsed
from bareboat.cluster.state import ClusterState, NodeState


def test_the_network_of_node_hosts_keeps_clear_of_routes(tmp_path):
    hosts = Hosts(Layout(tmp_path))
    usual = hosts.network
    assert ipaddress.IPv4Network(hosts.choose([])) == usual
    other = ipaddress.IPv4Network(hosts.choose([usual]))
    assert not other.overlaps(usual)
    assert other.overlaps(ipaddress.IPv4Network("172.30.0.0/16"))
    assert hosts.choose([ipaddress.IPv4Network("172.30.0.0/16")]).startswith("172.29.")
    with pytest.raises(ClusterError, match="no free network"):
        hosts.choose([ipaddress.IPv4Network("172.16.0.0/12")])


def test_the_address_of_a_removed_node_is_given_again(tmp_path):
    state = ClusterState(name="c", separate=True)
    nodes = Nodes(Layout(tmp_path), state)
    made = [nodes.plan() for _ in range(3)]
    assert [n.name for n in made] == ["n1", "n2", "n3"]
    state.nodes.remove(made[1])
    again = nodes.plan()
    assert (again.name, again.address, again.netns) == ("n2", made[1].address, nodes.hosts.netns("n2"))
    with pytest.raises(ClusterError, match="there is a node n2"):
        nodes.plan("n2")


def test_a_cluster_of_one_node_does_not_grow(tmp_path):
    nodes = Nodes(Layout(tmp_path), ClusterState(name="c", nodes=[NodeState(name="n1")]))
    with pytest.raises(ClusterError, match="is the machine itself"):
        nodes.growable()


async def test_the_last_node_is_not_removed(tmp_path):
    nodes = Nodes(Layout(tmp_path), ClusterState(name="c", nodes=[NodeState(name="n1")]))
    with pytest.raises(ClusterError, match="bareboat down"):
        await nodes.remove(nodes.state.nodes[0])


def test_a_state_of_an_older_version_is_read(tmp_path):
    layout = Layout(tmp_path)
    states.write_private(
        layout.state_file, b'{"name":"old","url":"","fake":false,"server":null,"nodes":[{"name":"n1","netns":"","address":""}]}'
    )
    found = states.load(layout)
    assert found is not None
    assert (found.separate, found.nodes[0].stopped) == (False, False)


def test_metrics_are_summed_over_their_labels():
    text = '# HELP a b\na{x="1"} 2.0\na{x="2"} 3\nb 1e+06\n'
    assert parsed(text) == {"a": 5.0, "b": 1e6}
