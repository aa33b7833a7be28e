"""Pods that wait for the room of others to come free: each counts on its node for pods that are no more important."""

from __future__ import annotations

from bareboat.models import core_v1
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.requests import PodUse


class Nominations:
    """One node per pod, by the pod's key."""

    def __init__(self) -> None:
        self._pods: dict[str, PlacedPod] = {}

    def put(self, key: str, pod: core_v1.Pod, use: PodUse, node: str) -> None:
        self._pods[key] = PlacedPod(key, pod, use, node)

    def remove(self, key: str) -> bool:
        return self._pods.pop(key, None) is not None

    def node_of(self, key: str) -> str:
        found = self._pods.get(key)
        return found.node if found else ""

    def ahead_of(self, key: str, priority: int) -> list[PlacedPod]:
        """Those whose room a pod of that priority must leave."""
        return [pod for pod in self._pods.values() if pod.priority >= priority and pod.key != key]

    def behind(self, node: str, priority: int) -> list[PlacedPod]:
        """Less important ones on the node."""
        return [pod for pod in self._pods.values() if pod.node == node and pod.priority < priority]
