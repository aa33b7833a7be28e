"""/metrics/cadvisor: containers and the machine under cAdvisor's names, which dashboards are made for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bareboat.node.machine import interfaces
from bareboat.node.stats import PodUse, Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_LABELS = ("container", "id", "image", "name", "namespace", "pod")
_NETWORK = ("interface", "namespace", "pod")


def families(snapshots: Sequence[Snapshot], cores: int) -> Iterator[Metric]:
    """Of all pods, and of the machine that the nodes are on."""
    from prometheus_client.metrics_core import GaugeMetricFamily

    pods = [(pod, s.at.timestamp()) for s in snapshots for pod in s.pods]
    yield from _of_containers(pods)
    yield from _of_networks(pods)
    yield GaugeMetricFamily("machine_cpu_cores", "Logical cores of the machine.", value=cores)
    yield GaugeMetricFamily("machine_memory_bytes", "Memory of the machine.", value=snapshots[0].machine.memory_total if snapshots else 0)


def _of_containers(pods: list[tuple[PodUse, float]]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    cpu = CounterMetricFamily("container_cpu_usage_seconds", "Cumulative CPU time in core-seconds.", labels=_LABELS)
    working = GaugeMetricFamily("container_memory_working_set_bytes", "Working set.", labels=_LABELS)
    memory = GaugeMetricFamily("container_memory_usage_bytes", "Memory with caches.", labels=_LABELS)
    processes = GaugeMetricFamily("container_processes", "Processes in the container.", labels=_LABELS)
    started = GaugeMetricFamily("container_start_time_seconds", "When it started, since the epoch.", labels=_LABELS)
    for pod, at in pods:
        config = pod.sandbox.config
        for use in pod.containers:
            own = use.container
            labels = (own.config.name, own.id, own.config.image, own.id, config.namespace, config.name)
            cpu.add_metric(labels, use.stats.cpu_nanos / 1e9, timestamp=at)
            working.add_metric(labels, use.stats.memory_working_set, timestamp=at)
            memory.add_metric(labels, use.stats.memory_usage, timestamp=at)
            processes.add_metric(labels, use.stats.pids, timestamp=at)
            started.add_metric(labels, own.started_at / 1e9)
    yield from (cpu, working, memory, processes, started)


def _of_networks(pods: list[tuple[PodUse, float]]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily

    names = ("receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors")
    found = [CounterMetricFamily(f"container_network_{name}", f"{name.replace('_', ' ')} of the pod.", labels=_NETWORK) for name in names]
    for pod, at in pods:
        config = pod.sandbox.config
        pid = next((c.container.pid for c in pod.containers if c.container.pid), 0)
        if not pid or config.host_network:
            continue
        for interface, counts in interfaces(pid).items():
            for family, count in zip(found, counts, strict=True):
                family.add_metric((interface, config.namespace, config.name), count, timestamp=at)
    yield from found
