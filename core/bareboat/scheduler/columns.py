"""The cluster as columns: one numpy row per resource, one column per node, updated as events come in.

What comes in: nodes, and pods placed on them (bound or assumed). What goes out: ``NodeArrays`` views without copying, per-node
lists for the rules that are not arithmetic (labels, taints, ports, pods), and counts of pods that selectors mean. No policy lives here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bareboat.base.wide import WideDict
from bareboat.contracts.scheduling import BoolArray, FloatArray, NodeArrays
from bareboat.models import core_v1
from bareboat.models.host_ports import HostPort
from bareboat.scheduler.counts import Counts, Groups, Matcher
from bareboat.scheduler.domains import Domains
from bareboat.scheduler.facts import NodeFacts
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.requests import amounts
from bareboat.scheduler.rows import Rows
from bareboat.scheduler.taints import TaintSets

Node = core_v1.Node | NodeFacts
BASE_RESOURCES = ("cpu", "memory", "pods", "ephemeral-storage")


class Columns:
    """Nodes by index; an index is stable until its node is removed (the last node then takes its place)."""

    def __init__(self, capacity: int = 64) -> None:
        self.names: list[str] = []
        self.nodes: list[Node] = []
        self.labels: list[dict[str, str]] = []
        self.ports: list[list[HostPort]] = []
        self.pods: list[dict[str, PlacedPod]] = []
        self.index: dict[str, int] = {}
        #: raised whenever a node's static facts (labels, taints, unschedulable) or the order of nodes change
        self.version = 0
        self.groups = Groups(capacity)
        #: how many placed pods have which priority
        self.priorities: Counter[int] = Counter()
        #: size of an image on the nodes that have it
        self.images: dict[str, dict[str, float]] = {}
        #: how many placed pods use a claim
        self.claims: Counter[str] = Counter()
        self._capacity = capacity
        self._allocatable = Rows(capacity)
        self._requested = Rows(capacity)
        self._nonzero = Rows(capacity)
        self._by_priority = Rows(capacity)
        self._counts = Counts(capacity)
        self._unschedulable: BoolArray = np.zeros(capacity, dtype=bool)
        self.taints = TaintSets(capacity)
        self._placed: WideDict[str, PlacedPod] = WideDict()
        self._homeless: dict[str, dict[str, PlacedPod]] = {}
        self._by_namespace: dict[str, WideDict[str, PlacedPod]] = {}
        self._domains: dict[str, Domains] = {}
        self._domains_version = 0
        self._arrays: NodeArrays | None = None
        for resource in BASE_RESOURCES:
            self._resource(resource)

    def __len__(self) -> int:
        return len(self.names)

    def arrays(self) -> NodeArrays:
        """Views of the first len(self) columns; the same object until a node or a resource comes or goes."""
        if self._arrays is None:
            n = len(self.names)
            self._arrays = NodeArrays(
                names=self.names,
                allocatable={str(r): self._allocatable.row(r)[:n] for r in self._allocatable},
                requested={str(r): self._requested.row(r)[:n] for r in self._requested},
                nonzero_requested={str(r): self._nonzero.row(r)[:n] for r in self._nonzero},
                labels=self.labels,
                unschedulable=self._unschedulable[:n],
            )
        return self._arrays

    def placed(self) -> WideDict[str, PlacedPod]:
        return self._placed

    def count(self, matcher: Matcher) -> FloatArray:
        """How many pods per node the matcher means."""
        return self._counts.of(matcher, self._among(matcher.namespaces))[: len(self.names)]

    def domains(self, topology: str) -> Domains:
        if self._domains_version != self.version:
            self._domains.clear()
            self._domains_version = self.version
        found = self._domains.get(topology)
        if found is None:
            found = self._domains[topology] = Domains([labels.get(topology) for labels in self.labels])
        return found

    def lower(self, priority: int, resource: str) -> FloatArray:
        """What pods of less than that priority request, per node."""
        n = len(self.names)
        total = np.zeros(n)
        for held in self.priorities:
            if held < priority and (held, resource) in self._by_priority:
                total += self._by_priority.row((held, resource))[:n]
        return total

    def put_node(self, node: Node) -> None:
        name = node.metadata.name
        i = self.index.get(name)
        if i is None:
            i = self._append(name, node)
        elif static_changed(self.nodes[i], node):
            self.version += 1
        self._put_images(self.nodes[i], node)
        self.nodes[i] = node
        self.labels[i] = node.metadata.labels
        self._unschedulable[i] = node.spec.unschedulable
        self.taints.put(i, node.spec.taints)
        offered = amounts(node.status.allocatable)
        for resource in offered:
            self._resource(resource)
        for known in self._allocatable:
            self._allocatable.row(known)[i] = offered.get(str(known), 0.0)

    def remove_node(self, name: str) -> None:
        i = self.index.get(name)
        if i is None:
            return
        self.version += 1
        self._arrays = None
        self._put_images(self.nodes[i], None)
        for pod in list(self.pods[i].values()):
            self.remove_pod(pod.key)
            self._placed[pod.key] = self._homeless.setdefault(name, {})[pod.key] = pod
        del self.index[name]
        last = len(self.names) - 1
        if i != last:
            self._move(last, i)
        for column in (self.names, self.nodes, self.labels, self.ports, self.pods):
            column.pop()
        for rows in self._all_rows():
            rows.clear(last)
        self._unschedulable[last] = False

    def put_pod(self, pod: PlacedPod) -> None:
        """Place a pod (again): it may have moved or changed since."""
        before = self._placed.get(pod.key)
        if before is not None:
            if before.takes_as(pod) and (i := self.index.get(pod.node)) is not None:
                if not before.looks_as(pod):
                    self._counts.account(i, before, -1)
                    self._counts.account(i, pod, 1)
                self._placed[pod.key] = self.pods[i][pod.key] = self._by_namespace[pod.namespace][pod.key] = pod
                return
            self.remove_pod(pod.key)
        self._placed[pod.key] = pod
        i = self.index.get(pod.node)
        if i is None:
            self._homeless.setdefault(pod.node, {})[pod.key] = pod
            return
        self._account(i, pod, 1)
        self.pods[i][pod.key] = pod
        if pod.namespace not in self._by_namespace:
            self._by_namespace[pod.namespace] = WideDict()
        self._by_namespace[pod.namespace][pod.key] = pod
        self.ports[i].extend(pod.use.ports)

    def remove_pod(self, key: str) -> bool:
        """Free its room; False if it had none."""
        pod = self._placed.pop(key, None)
        if pod is None:
            return False
        i = self.index.get(pod.node)
        if i is None:
            self._homeless[pod.node].pop(key)
        else:
            self._account(i, pod, -1)
            del self.pods[i][key], self._by_namespace[pod.namespace][key]
            for port in pod.use.ports:
                self.ports[i].remove(port)
        return True

    @contextmanager
    def changed(self, *, without: Iterable[PlacedPod] = (), with_: Iterable[PlacedPod] = ()) -> Iterator[None]:
        """As if some pods were gone and others there; inside nothing may be awaited."""
        gone = [pod for pod in without if self.remove_pod(pod.key)]
        more = [pod for pod in with_ if pod.key not in self._placed]
        for pod in more:
            self.put_pod(pod)
        try:
            yield
        finally:
            for pod in more:
                self.remove_pod(pod.key)
            for pod in gone:
                self.put_pod(pod)

    def _account(self, i: int, pod: PlacedPod, sign: int) -> None:
        for resource, value in pod.use.requests.items():
            self._resource(resource)
            self._requested.row(resource)[i] += sign * value
            self._by_priority.row((pod.priority, resource))[i] += sign * value
        for resource, value in pod.use.nonzero.items():
            self._nonzero.row(resource)[i] += sign * value
        self._counts.account(i, pod, sign)
        if pod.grouped:
            self.groups.account(i, pod, sign)
        for claim in pod.claims:
            self.claims[claim] += sign
            if not self.claims[claim]:
                del self.claims[claim]
        self._account_priority(pod, sign)

    def _account_priority(self, pod: PlacedPod, sign: int) -> None:
        self.priorities[pod.priority] += sign
        if not self.priorities[pod.priority]:
            del self.priorities[pod.priority]
            for key in [k for k in self._by_priority if isinstance(k, tuple) and k[0] == pod.priority]:
                self._by_priority.drop(key)

    def _among(self, namespaces: frozenset[str] | None) -> Iterator[tuple[int, PlacedPod]]:
        """The pods on nodes of some namespaces, None for all, with the index of their node."""
        spaces = self._by_namespace if namespaces is None else namespaces
        known = (self._by_namespace[space] for space in spaces if space in self._by_namespace)
        return ((self.index[pod.node], pod) for pods in known for pod in pods.values())

    def _append(self, name: str, node: Node) -> int:
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
        self._arrays = None
        for pod in self._homeless.pop(name, {}).values():
            del self._placed[pod.key]
            self.put_pod(pod)
        return i

    def _move(self, source: int, target: int) -> None:
        columns: tuple[list[Any], ...] = (self.names, self.nodes, self.labels, self.ports, self.pods)
        for column in columns:
            column[target] = column[source]
        for rows in self._all_rows():
            rows.move(source, target)
        self._unschedulable[target] = self._unschedulable[source]
        self.index[self.names[target]] = target

    def _all_rows(self) -> tuple[Rows | TaintSets, ...]:
        return (self._allocatable, self._requested, self._nonzero, self._by_priority, self._counts.rows, self.groups.rows, self.taints)

    def _put_images(self, old: Node, new: Node | None) -> None:
        """Keep who holds which image; nearly every update of a node changes nothing about it."""
        before, after = old.status.images, new.status.images if new else []
        name = old.metadata.name
        if new is not old and before == after:
            return
        for alias in [a for image in before for a in image.names]:
            self.images.get(alias, {}).pop(name, None)
            if not self.images.get(alias, True):
                del self.images[alias]
        for image in after:
            for alias in image.names:
                self.images.setdefault(alias, {})[name] = float(image.sizeBytes or 0)

    def _resource(self, name: str) -> None:
        if name not in self._allocatable:
            self._arrays = None
            for rows in (self._allocatable, self._requested, self._nonzero):
                rows.row(name)

    def _grow(self) -> None:
        added = self._capacity
        self._capacity += added
        for rows in self._all_rows():
            rows.grow(self._capacity)
        self._unschedulable = np.concatenate([self._unschedulable, np.zeros(added, dtype=bool)])
        self._arrays = None


def static_changed(old: Node, new: Node) -> bool:
    """Whether labels, taints or unschedulable differ."""
    return (
        old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints or old.spec.unschedulable != new.spec.unschedulable
    )
