"""Pods that wait for the room of others to come free: each counts on its node for pods that are no more important."""

from __future__ import annotations

import numpy as np

from bareboat.contracts.scheduling import FloatArray
from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.requests import PodUse

#: Sums are kept for this many priorities.
PRIORITIES = 64


class Nominations:
    """One node per pod, by the pod's key."""

    def __init__(self) -> None:
        self._pods: dict[str, PlacedPod] = {}
        self._version = 0
        self._reserved: dict[int, tuple[int, int, dict[str, FloatArray]]] = {}

    def put(self, key: str, pod: core_v1.Pod, use: PodUse, node: str) -> None:
        self._pods[key] = PlacedPod(key, pod, use, node)
        self._version += 1

    def remove(self, key: str) -> bool:
        self._version += 1
        return self._pods.pop(key, None) is not None

    def node_of(self, key: str) -> str:
        found = self._pods.get(key)
        return found.node if found else ""

    def ahead_of(self, key: str, priority: int) -> list[PlacedPod]:
        """Those whose room a pod of that priority must leave."""
        return [pod for pod in self._pods.values() if pod.priority >= priority and pod.key != key]

    def reserved(self, key: str, priority: int, columns: Columns) -> dict[str, FloatArray] | None:
        """What those ask of their nodes, by resource; None if some have rules that are not about amounts."""
        ahead = self.ahead_of(key, priority)
        if any(pod.grouped for pod in ahead):
            return None
        known = self._reserved.get(priority)
        if known is None or known[:2] != (self._version, columns.version):
            if len(self._reserved) > PRIORITIES:
                self._reserved.clear()
            everyone = self.ahead_of("", priority)
            known = self._reserved[priority] = (self._version, columns.version, _sums(everyone, columns, {}, 1.0))
        own = self._pods.get(key)
        if own is None or own.priority < priority:
            return known[2]
        return _sums([own], columns, {resource: row.copy() for resource, row in known[2].items()}, -1.0)

    def behind(self, node: str, priority: int) -> list[PlacedPod]:
        """Less important ones on the node."""
        return [pod for pod in self._pods.values() if pod.node == node and pod.priority < priority]


def _sums(pods: list[PlacedPod], columns: Columns, into: dict[str, FloatArray], sign: float) -> dict[str, FloatArray]:
    for pod in pods:
        i = columns.index.get(pod.node)
        if i is None or pod.key in columns.placed():
            continue
        for resource, value in pod.use.requests.items():
            if resource not in into:
                into[resource] = np.zeros(len(columns))
            into[resource][i] += sign * value
    return into
