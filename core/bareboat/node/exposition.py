"""An agent's metrics as Prometheus text: /metrics about itself, /metrics/resource about its pods, under the kubelet's names.

The library is imported at the first scrape.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bareboat.contracts import cri
from bareboat.node.runtime_state import RuntimeState
from bareboat.node.stats import NodeStats, PodUse, Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_POD = ("namespace", "pod")
_CONTAINER = ("container", *_POD)
_SECOND = 1e9


class _Fixed:
    """Families that are known already, in the shape that the library asks."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def text(families: Iterable[Metric]) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    registry: Any = CollectorRegistry()
    registry.register(_Fixed(families))
    return generate_latest(registry)


def of_resources(snapshots: Sequence[Snapshot], *, failed: bool = False) -> Iterator[Metric]:
    """What nodes, pods and containers use."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    cpu = CounterMetricFamily("node_cpu_usage_seconds", "Cumulative CPU time of the node in core-seconds.")
    memory = GaugeMetricFamily("node_memory_working_set_bytes", "Working set of the node.")
    swap = GaugeMetricFamily("node_swap_usage_bytes", "Swap that the node uses.")
    for snapshot in snapshots:
        at = snapshot.at.timestamp()
        cpu.add_metric((), snapshot.cpu_nanos / _SECOND, timestamp=at)
        memory.add_metric((), snapshot.working_set, timestamp=at)
        swap.add_metric((), snapshot.machine.swap_usage, timestamp=at)
    yield from (cpu, memory, swap)
    pods = [(pod, s.at.timestamp()) for s in snapshots for pod in s.pods]
    yield from _of_pods(pods)
    yield from _of_containers(pods)
    yield GaugeMetricFamily("resource_scrape_error", "1 if the runtime's statistics could not be read.", value=float(failed))


def _of_pods(pods: list[tuple[PodUse, float]]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    cpu = CounterMetricFamily("pod_cpu_usage_seconds", "Cumulative CPU time of the pod in core-seconds.", labels=_POD)
    memory = GaugeMetricFamily("pod_memory_working_set_bytes", "Working set of the pod.", labels=_POD)
    for pod, at in pods:
        labels = (pod.sandbox.config.namespace, pod.sandbox.config.name)
        if pod.containers:
            cpu.add_metric(labels, pod.cpu_nanos / _SECOND, timestamp=at)
            memory.add_metric(labels, pod.working_set, timestamp=at)
    yield from (cpu, memory)


def _of_containers(pods: list[tuple[PodUse, float]]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    cpu = CounterMetricFamily("container_cpu_usage_seconds", "Cumulative CPU time of the container in core-seconds.", labels=_CONTAINER)
    memory = GaugeMetricFamily("container_memory_working_set_bytes", "Working set of the container.", labels=_CONTAINER)
    started = GaugeMetricFamily("container_start_time_seconds", "When the container started, since the epoch.", labels=_CONTAINER)
    for pod, at in pods:
        for use in pod.containers:
            labels = (use.container.config.name, pod.sandbox.config.namespace, pod.sandbox.config.name)
            cpu.add_metric(labels, use.stats.cpu_nanos / _SECOND, timestamp=at)
            memory.add_metric(labels, use.stats.memory_working_set, timestamp=at)
            started.add_metric(labels, use.container.started_at / _SECOND)
    yield from (cpu, memory, started)


class NodeFacts:
    """What /metrics says of one node: ``desired`` pods by the API, ``containers`` of the runtime, ``workers`` at work."""

    def __init__(
        self, name: str, desired: int, workers: int, containers: Sequence[cri.Container], stats: NodeStats, state: RuntimeState
    ) -> None:
        self.name = name
        self.desired = desired
        self.workers = workers
        self.states = Counter(c.state.lower() for c in containers)
        self.pods = len({c.sandbox_id for c in containers if c.state == "RUNNING"})
        self.failures = stats.failures
        self.state = state


def of_agent(nodes: Sequence[NodeFacts]) -> Iterator[Metric]:
    """The agents of this process and the process itself."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    name = GaugeMetricFamily("kubelet_node_name", "The node's name. Always 1.", labels=("node",))
    desired = GaugeMetricFamily("kubelet_desired_pods", "Pods that are bound to the node.", labels=("node",))
    pods = GaugeMetricFamily("kubelet_running_pods", "Pods with a running container.", labels=("node",))
    containers = GaugeMetricFamily("kubelet_running_containers", "Containers by their state.", labels=("node", "container_state"))
    workers = GaugeMetricFamily("bareboat_pod_workers", "Pods that the agent looks after.", labels=("node",))
    failures = CounterMetricFamily("bareboat_stats_failures", "Times that the runtime's statistics could not be read.", labels=("node",))
    for node in nodes:
        name.add_metric((node.name,), 1)
        desired.add_metric((node.name,), node.desired)
        pods.add_metric((node.name,), node.pods)
        workers.add_metric((node.name,), node.workers)
        failures.add_metric((node.name,), node.failures)
        for state, count in sorted(node.states.items()):
            containers.add_metric((node.name, state), count)
    yield from (name, desired, pods, containers, workers, failures)
    yield from _of_runtime(nodes)
    yield from _of_process()


def _of_runtime(nodes: Sequence[NodeFacts]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, SummaryMetricFamily

    pods = CounterMetricFamily("kubelet_started_pods", "Sandboxes that started since the agent began.", labels=("node",))
    containers = CounterMetricFamily("kubelet_started_containers", "Containers that started since the agent began.", labels=("node",))
    relist = SummaryMetricFamily("kubelet_pleg_relist_duration_seconds", "How long listing the runtime took.", labels=("node",))
    for node in nodes:
        pods.add_metric((node.name,), node.state.started_sandboxes)
        containers.add_metric((node.name,), node.state.started_containers)
        relist.add_metric((node.name,), count_value=node.state.relists, sum_value=node.state.relist_seconds)
    yield from (pods, containers, relist)


def _of_process() -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * resource.getpagesize()
    yield CounterMetricFamily("process_cpu_seconds", "CPU time.", value=usage.ru_utime + usage.ru_stime)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory.", value=resident)
    yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=len(os.listdir("/proc/self/fd")))
    yield GaugeMetricFamily("bareboat_tasks", "Tasks on the event loop.", value=len(asyncio.all_tasks()))
