"""Scheduling policies: pure functions over arrays of nodes (after upstream's scheduling framework, filter and score points).

A policy is contributed by ``bareboat_scheduling_policies`` and named, weighted and configured by the profile in the cluster
file. The one synchronous family of contracts: no I/O, no clock; numpy arrays in, numpy array out, index i is node i.

Units: cpu in millicores, memory and ephemeral storage in bytes, pods in number. Scores are 0..100.
"""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
else:
    FloatArray = BoolArray = Any


class NodeArrays(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as columns.

    ``allocatable`` and ``requested`` map a resource name ("cpu", "memory", "pods", "ephemeral-storage", extended) to an
    array of all nodes. ``nonzero_requested`` counts containers without requests as 100 millicores and 200 MiB (cpu and
    memory only). ``labels`` is one mapping per node.
    """

    names: list[str]
    allocatable: dict[str, FloatArray]
    requested: dict[str, FloatArray]
    nonzero_requested: dict[str, FloatArray]
    labels: list[dict[str, str]]
    unschedulable: BoolArray


class PodRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The pod to place.

    ``pod`` is the core_v1.Pod; ``requests`` are its summed requests, ``nonzero`` with the defaults for what it leaves out.
    """

    pod: Any
    requests: dict[str, float]
    nonzero: dict[str, float]


class SchedulingPolicy(ABC):
    """Override ``filter`` or ``score`` or both. Options come as a Struct (``Options``) from the cluster file."""

    name: str
    default_weight: int = 1

    def filter(self, pod: PodRequest, nodes: NodeArrays) -> tuple[BoolArray, str] | None:
        """(mask of nodes that can run the pod, reason shown for those that cannot), or None for no opinion."""
        del pod, nodes
        return None

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray | None:
        """0..100 per node, higher is better, or None for no opinion."""
        del pod, nodes
        return None
