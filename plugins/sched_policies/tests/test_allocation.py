"""Scores of the allocation policies on small clusters where the right answer can be worked out by hand."""

import numpy as np
import pytest

from bareboat.contracts.scheduling import NodeArrays, PodRequest
from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated


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
