"""Scores from what is requested and what a node can give, after upstream's NodeResourcesFit and NodeResourcesBalancedAllocation."""

from __future__ import annotations

import numpy as np

from bareboat.contracts.scheduling import FloatArray, NodeArrays, PodRequest, SchedulingPolicy

RESOURCES = ("cpu", "memory")


def used_shares(pod: PodRequest, nodes: NodeArrays) -> FloatArray:
    """Rows cpu and memory, one column per node: the share in use after placing the pod, 1 where a node offers none."""
    rows = []
    for resource in RESOURCES:
        allocatable = nodes.allocatable[resource]
        wanted = nodes.nonzero_requested[resource] + pod.nonzero.get(resource, 0.0)
        share = np.ones_like(allocatable)
        np.divide(wanted, allocatable, out=share, where=allocatable > 0)
        rows.append(np.minimum(share, 1.0))
    return np.vstack(rows)


class LeastAllocated(SchedulingPolicy):
    """100 for an empty node, 0 for a full one: the mean free share of CPU and memory."""

    name = "least-allocated"

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        free: FloatArray = (1.0 - used_shares(pod, nodes)).mean(axis=0) * 100.0
        return free


class BalancedAllocation(SchedulingPolicy):
    """100 where CPU and memory are used in equal shares; less the further apart they are (standard deviation)."""

    name = "balanced-allocation"

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        balanced: FloatArray = (1.0 - used_shares(pod, nodes).std(axis=0)) * 100.0
        return balanced
