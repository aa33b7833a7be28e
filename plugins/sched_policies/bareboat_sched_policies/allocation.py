"""Scores from what is requested and what a node can give, after upstream's NodeResourcesFit and NodeResourcesBalancedAllocation."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from bareboat.contracts.scheduling import FloatArray, NodeArrays, PodRequest, SchedulingPolicy
from bareboat_sched_policies.options import Options

#: Containers without a request count as something for these.
ASSUMED = ("cpu", "memory")


def used_share(resource: str, pod: PodRequest, nodes: NodeArrays) -> FloatArray | None:
    """Per node: the share in use after placing the pod, 1 where a node offers none; None if it does not concern the pod."""
    wanted = pod.nonzero if resource in ASSUMED else pod.requests
    offered = nodes.allocatable.get(resource)
    if offered is None or (resource not in ASSUMED and not wanted.get(resource)):
        return None
    taken = (nodes.nonzero_requested if resource in ASSUMED else nodes.requested)[resource]
    return share_of(taken + wanted.get(resource, 0.0), offered)


def share_of(taken: FloatArray, offered: FloatArray) -> FloatArray:
    """At most 1, and 1 where nothing is offered. Takes ``taken`` over."""
    if not len(offered):
        return taken
    if offered[offered.argmin()] > 0:  # argmin and argmax cost a quarter of what min and max do
        share = np.divide(taken, offered, out=taken)
    else:
        share = np.divide(taken, offered, out=np.ones_like(taken), where=offered > 0)
    return share if share[share.argmax()] <= 1.0 else np.minimum(share, 1.0, out=share)


class Weighted(SchedulingPolicy):
    """The weighted mean of one score per resource."""

    #: Whether a resource with score 0 counts.
    counts_zero = True

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    @abstractmethod
    def rate(self, share: FloatArray, offered: FloatArray) -> FloatArray:
        """0..100 for the share of one resource that is in use. May take ``share`` over."""

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        if self.counts_zero:
            return self._mean(pod, nodes)
        total = np.zeros(len(nodes.names))
        weights = np.zeros(len(nodes.names))
        for resource, weight in self.options.resources.items():
            share = used_share(resource, pod, nodes)
            if share is None:
                continue
            rated = self.rate(share, nodes.allocatable[resource])
            total += weight * rated
            weights += np.where(rated > 0, weight, 0)
        mean: FloatArray = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
        return mean

    def _mean(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        total, weights = np.zeros(len(nodes.names)), 0
        for resource, weight in self.options.resources.items():
            share = used_share(resource, pod, nodes)
            if share is not None:
                total += weight * self.rate(share, nodes.allocatable[resource])
                weights += weight
        return total / (weights or 1)


class LeastAllocated(Weighted):
    """100 for an empty node, 0 for a full one."""

    name = "least-allocated"

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        """The rate of the mean is the mean of the rates."""
        total, weights = np.zeros(len(nodes.names)), 0
        for resource, weight in self.options.resources.items():
            share = used_share(resource, pod, nodes)
            if share is not None:
                total += share if weight == 1 else weight * share
                weights += weight
        return self.rate(np.divide(total, weights, out=total), total) if weights else total

    def rate(self, share: FloatArray, offered: FloatArray) -> FloatArray:
        del offered
        share *= -100.0
        share += 100.0
        return share


class MostAllocated(Weighted):
    """100 for a full node, 0 for an empty one or one that offers nothing: fill nodes one after the other."""

    name = "most-allocated"

    def rate(self, share: FloatArray, offered: FloatArray) -> FloatArray:
        return np.where(offered > 0, share * 100.0, 0.0)


class RequestedToCapacity(Weighted):
    """What the shape says for the share in use, straight lines between its points."""

    name = "requested-to-capacity"
    counts_zero = False

    def rate(self, share: FloatArray, offered: FloatArray) -> FloatArray:
        del offered
        at = [float(point.utilization) for point in self.options.shape]
        scores = [point.score * 10.0 for point in self.options.shape]
        return np.interp(share * 100.0, at, scores)


class BalancedAllocation(SchedulingPolicy):
    """100 where CPU and memory are used in equal shares; less the further apart they are (standard deviation).

    A pod that asks for nothing does not care.
    """

    name = "balanced-allocation"

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray | None:
        if not any(pod.requests.get(resource) for resource in self.options.resources):
            return None
        shares = []
        for resource in self.options.resources:
            offered = nodes.allocatable.get(resource)
            wanted = pod.requests.get(resource, 0.0)
            if offered is None or (resource not in ASSUMED and not wanted):
                continue
            shares.append(share_of(nodes.requested[resource] + wanted, offered))
        if len(shares) == 2:  # the usual case, without the cost of a mean
            halves: FloatArray = shares[0]
            halves -= shares[1]
            np.abs(halves, out=halves)
            halves *= -50.0
            halves += 100.0
            return halves
        balanced: FloatArray = (1.0 - np.vstack(shares).std(axis=0)) * 100.0
        return balanced
