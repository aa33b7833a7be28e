"""The cluster as columns: one numpy row per resource, one column per node, updated as events come in.

What comes in: nodes, and pods placed on them (bound or assumed). What goes out: ``NodeArrays`` views without copying, and
per-node lists for the rules that are not arithmetic (labels, taints, ports, pods). No policy lives here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray, NodeArrays
from bareboat.models import core_v1
from bareboat.scheduler.requests import HostPort, PodUse, amounts

BASE_RESOURCES = ("cpu", "memory", "pods", "ephemeral-storage")


class PlacedPod:
    """A pod that takes room on a node."""

    __slots__ = ("anti_affinity", "key", "labels", "namespace", "node", "use")

    def __init__(self, key: str, pod: core_v1.Pod, use: PodUse) -> None:
        self.key = key
        self.namespace = pod.metadata.namespace
        self.labels = pod.metadata.labels
        self.node = pod.spec.nodeName
        self.use = use
        affinity = pod.spec.affinity
        anti = affinity.podAntiAffinity if affinity else None
        self.anti_affinity = anti.requiredDuringSchedulingIgnoredDuringExecution if anti else []


class Columns:
    """Nodes by index; an index is stable until its node is removed (the last node then takes its place)."""

    def __init__(self, capacity: int = 64) -> None:
        self.names: list[str] = []
        self.nodes: list[core_v1.Node] = []
        self.labels: list[dict[str, str]] = []
        self.ports: list[list[HostPort]] = []
        self.pods: list[dict[str, PlacedPod]] = []
        self.index: dict[str, int] = {}
        #: raised whenever a node's static facts (labels, taints, unschedulable) or the order of nodes change
        self.version = 0
        self._capacity = capacity
        self._allocatable: dict[str, FloatArray] = {}
        self._requested: dict[str, FloatArray] = {}
        self._nonzero: dict[str, FloatArray] = {}
        self._unschedulable: BoolArray = np.zeros(capacity, dtype=bool)
        self._placed: dict[str, PlacedPod] = {}
        self._homeless: dict[str, PlacedPod] = {}
        for resource in BASE_RESOURCES:
            self._resource(resource)

    def __len__(self) -> int:
        return len(self.names)

    def arrays(self) -> NodeArrays:
        """Views of the first len(self) columns."""
        n = len(self.names)
        return NodeArrays(
            names=self.names,
            allocatable={r: a[:n] for r, a in self._allocatable.items()},
            requested={r: a[:n] for r, a in self._requested.items()},
            nonzero_requested={r: a[:n] for r, a in self._nonzero.items()},
            labels=self.labels,
            unschedulable=self._unschedulable[:n],
        )

    def placed(self) -> dict[str, PlacedPod]:
        return self._placed

    def put_node(self, node: core_v1.Node) -> None:
        name = node.metadata.name
        i = self.index.get(name)
        if i is None:
            i = self._append(name, node)
        elif self._static_changed(self.nodes[i], node):
            self.version += 1
        self.nodes[i] = node
        self.labels[i] = node.metadata.labels
        self._unschedulable[i] = node.spec.unschedulable
        offered = amounts(node.status.allocatable)
        for resource in offered:
            self._resource(resource)
        for resource, array in self._allocatable.items():
            array[i] = offered.get(resource, 0.0)

    def remove_node(self, name: str) -> None:
        i = self.index.pop(name, None)
        if i is None:
            return
        self.version += 1
        for pod in self.pods[i].values():
            self._homeless[pod.key] = pod
        last = len(self.names) - 1
        if i != last:
            self._move(last, i)
        for column in (self.names, self.nodes, self.labels, self.ports, self.pods):
            column.pop()
        for arrays in (self._allocatable, self._requested, self._nonzero):
            for array in arrays.values():
                array[last] = 0.0
        self._unschedulable[last] = False

    def put_pod(self, pod: PlacedPod) -> None:
        """Place a pod (again): it may have moved or changed since."""
        self.remove_pod(pod.key)
        self._placed[pod.key] = pod
        i = self.index.get(pod.node)
        if i is None:
            self._homeless[pod.key] = pod
            return
        self._account(i, pod, 1.0)
        self.pods[i][pod.key] = pod
        self.ports[i].extend(pod.use.ports)

    def remove_pod(self, key: str) -> bool:
        """Free its room; False if it had none."""
        pod = self._placed.pop(key, None)
        if pod is None:
            return False
        if self._homeless.pop(key, None) is None:
            i = self.index[pod.node]
            self._account(i, pod, -1.0)
            del self.pods[i][key]
            for port in pod.use.ports:
                self.ports[i].remove(port)
        return True

    def _account(self, i: int, pod: PlacedPod, sign: float) -> None:
        for resource, value in pod.use.requests.items():
            self._resource(resource)
            self._requested[resource][i] += sign * value
        for resource, value in pod.use.nonzero.items():
            self._nonzero[resource][i] += sign * value

    def _append(self, name: str, node: core_v1.Node) -> int:
        i = len(self.names)
        if i == self._capacity:
            self._grow()
        self.index[name] = i
        self.names.append(name)
        self.nodes.append(node)
        self.labels.append({})
        self.ports.append([])
        self.pods.append({})
        self.version += 1
        for pod in [p for p in self._homeless.values() if p.node == name]:
            self.put_pod(pod)
        return i

    def _move(self, source: int, target: int) -> None:
        columns: tuple[list[Any], ...] = (self.names, self.nodes, self.labels, self.ports, self.pods)
        for column in columns:
            column[target] = column[source]
        for arrays in (self._allocatable, self._requested, self._nonzero):
            for array in arrays.values():
                array[target] = array[source]
        self._unschedulable[target] = self._unschedulable[source]
        self.index[self.names[target]] = target

    def _resource(self, name: str) -> None:
        if name not in self._allocatable:
            for arrays in (self._allocatable, self._requested, self._nonzero):
                arrays[name] = np.zeros(self._capacity)

    def _grow(self) -> None:
        added = self._capacity
        for arrays in (self._allocatable, self._requested, self._nonzero):
            for name, array in arrays.items():
                arrays[name] = np.concatenate([array, np.zeros(added)])
        self._unschedulable = np.concatenate([self._unschedulable, np.zeros(added, dtype=bool)])
        self._capacity += added

    @staticmethod
    def _static_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
        return (
            old.metadata.labels != new.metadata.labels
            or old.spec.taints != new.spec.taints
            or old.spec.unschedulable != new.spec.unschedulable
        )
