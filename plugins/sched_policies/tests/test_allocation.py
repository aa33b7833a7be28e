"""Scores of the allocation policies on small clusters where the right answer can be worked out by hand."""

import msgspec
import numpy as np
import pytest

from bareboat.contracts.scheduling import NodeArrays, PodRequest
from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated, MostAllocated, RequestedToCapacity
from bareboat_sched_policies.options import Options
from bareboat_sched_policies.plugin import bareboat_scheduling_policies


def cluster(*nodes):
    """Nodes as (cpu, memory, cpu used, memory used)."""
    columns = np.array(nodes, dtype=float).T
    used = {"cpu": columns[2], "memory": columns[3]}
    return NodeArrays(
        names=[f"n{i}" for i in range(len(nodes))],
        allocatable={"cpu": columns[0], "memory": columns[1]},
        requested=used,
        nonzero_requested=used,
        labels=[{} for _ in nodes],
        unschedulable=np.zeros(len(nodes), dtype=bool),
    )


def pod(cpu, memory):
    return PodRequest(pod=None, requests={"cpu": cpu, "memory": memory}, nonzero={"cpu": cpu, "memory": memory})


def test_an_emptier_node_scores_higher():
    scores = LeastAllocated().score(pod(1000, 1000), cluster((4000, 4000, 0, 0), (4000, 4000, 2000, 2000)))
    assert scores == pytest.approx([75.0, 25.0])


def test_a_node_that_is_full_or_offers_nothing_scores_zero():
    scores = LeastAllocated().score(pod(1000, 1000), cluster((1000, 1000, 1000, 1000), (0, 0, 0, 0)))
    assert scores == pytest.approx([0.0, 0.0])


def test_balance_prefers_equal_shares():
    scores = BalancedAllocation().score(pod(1000, 0), cluster((4000, 4000, 0, 1000), (4000, 4000, 2000, 0)))
    assert scores[0] == pytest.approx(100.0)
    assert scores[1] == pytest.approx(62.5)


def test_a_fuller_node_scores_higher_where_nodes_are_to_be_filled():
    scores = MostAllocated().score(pod(1000, 1000), cluster((4000, 4000, 0, 0), (4000, 4000, 2000, 2000), (0, 0, 0, 0)))
    assert scores == pytest.approx([25.0, 75.0, 0.0])


def test_a_shape_says_what_a_share_is_worth():
    shape = [{"utilization": 0, "score": 10}, {"utilization": 50, "score": 0}, {"utilization": 100, "score": 4}]
    policy = RequestedToCapacity(msgspec.convert({"shape": shape, "resources": {"cpu": 1}}, Options))
    nodes = cluster((4000, 1, 0, 0), (4000, 1, 1000, 0), (4000, 1, 2000, 0), (4000, 1, 3000, 0))
    assert policy.score(pod(1000, 0), nodes) == pytest.approx([50.0, 0.0, 20.0, 40.0])


def test_weights_of_resources_count():
    policy = LeastAllocated(Options(resources={"cpu": 3, "memory": 1}))
    assert policy.score(pod(2000, 0), cluster((4000, 4000, 0, 0))) == pytest.approx([62.5])


def test_other_resources_count_for_pods_that_ask_for_them():
    policy = LeastAllocated(Options(resources={"example.com/gpu": 1}))
    nodes = cluster((1, 1, 0, 0))
    nodes.allocatable["example.com/gpu"], nodes.requested["example.com/gpu"] = np.array([4.0]), np.array([1.0])
    assert policy.score(pod(1, 1), nodes) == pytest.approx([0.0])
    asking = PodRequest(pod=None, requests={"example.com/gpu": 1.0}, nonzero={})
    assert policy.score(asking, nodes) == pytest.approx([50.0])


def test_balance_is_nothing_to_a_pod_that_asks_for_nothing():
    assert BalancedAllocation().score(PodRequest(pod=None, requests={"pods": 1.0}, nonzero={"cpu": 100.0}), cluster((1, 1, 0, 0))) is None


def test_all_policies_are_contributed_with_the_options_of_the_cluster_file():
    found = bareboat_scheduling_policies({"resources": {"cpu": 2}})
    assert [p.name for p in found] == ["least-allocated", "most-allocated", "requested-to-capacity", "balanced-allocation"]
    assert all(p.options.resources == {"cpu": 2} for p in found)


@pytest.mark.parametrize("bad", [{"shape": []}, {"shape": [{"utilization": 5, "score": 11}]}, {"resources": {"cpu": 0}}, {"colour": "red"}])
def test_bad_options_are_refused(bad):
    with pytest.raises(msgspec.ValidationError):
        bareboat_scheduling_policies(bad)
