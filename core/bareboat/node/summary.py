"""The kubelet's /stats/summary: one node and its pods as one JSON object. Pure."""

from __future__ import annotations

from typing import Any

from bareboat.base.clock import rfc3339
from bareboat.node.machine import Machine, interfaces
from bareboat.node.stats import ContainerUse, PodUse, Snapshot
from bareboat.node.status import moment


def summary(node: str, snapshot: Snapshot) -> dict[str, Any]:
    at = rfc3339(snapshot.at)
    machine = snapshot.machine
    return {
        "node": {
            "nodeName": node,
            "startTime": moment(machine.booted),
            "cpu": {"time": at, "usageNanoCores": snapshot.rate, "usageCoreNanoSeconds": snapshot.cpu_nanos},
            "memory": {
                "time": at,
                "availableBytes": machine.memory_available,
                "usageBytes": machine.memory_usage,
                "workingSetBytes": snapshot.working_set,
                "rssBytes": machine.memory_rss,
                "pageFaults": machine.faults[0],
                "majorPageFaults": machine.faults[1],
            },
            "network": {"time": at, **_network(machine.interfaces)},
            "fs": _disk(machine, at),
            "runtime": {"imageFs": _disk(machine, at)},
            "swap": {"time": at, "swapUsageBytes": machine.swap_usage},
        },
        "pods": [_pod(pod, at) for pod in snapshot.pods],
    }


def _pod(pod: PodUse, at: str) -> dict[str, Any]:
    config = pod.sandbox.config
    pid = next((c.container.pid for c in pod.containers if c.container.pid), 0)
    found: dict[str, Any] = {
        "podRef": {"name": config.name, "namespace": config.namespace, "uid": config.uid},
        "startTime": moment(pod.sandbox.created_at),
        "containers": [_container(c, at) for c in pod.containers],
    }
    if pod.containers:
        found["cpu"] = {"time": at, "usageNanoCores": pod.rate, "usageCoreNanoSeconds": pod.cpu_nanos}
        found["memory"] = {"time": at, "workingSetBytes": pod.working_set, "usageBytes": sum(c.stats.memory_usage for c in pod.containers)}
        found["process_stats"] = {"process_count": sum(c.stats.pids for c in pod.containers)}
    if pid and not config.host_network:
        found["network"] = {"time": at, **_network(interfaces(pid))}
    return found


def _container(use: ContainerUse, at: str) -> dict[str, Any]:
    stats = use.stats
    return {
        "name": use.container.config.name,
        "startTime": moment(use.container.started_at),
        "cpu": {"time": at, "usageNanoCores": use.rate, "usageCoreNanoSeconds": stats.cpu_nanos},
        "memory": {"time": at, "workingSetBytes": stats.memory_working_set, "usageBytes": stats.memory_usage},
    }


def _disk(machine: Machine, at: str) -> dict[str, Any]:
    return {
        "time": at,
        "availableBytes": machine.disk_available,
        "capacityBytes": machine.disk_total,
        "usedBytes": machine.disk_total - machine.disk_available,
        "inodesFree": machine.inodes_free,
        "inodes": machine.inodes,
        "inodesUsed": machine.inodes - machine.inodes_free,
    }


def _network(found: dict[str, tuple[int, int, int, int]]) -> dict[str, Any]:
    """The first interface as the node's own, all of them beside it."""
    rows = [
        {"name": name, "rxBytes": received, "rxErrors": bad_in, "txBytes": sent, "txErrors": bad_out}
        for name, (received, sent, bad_in, bad_out) in found.items()
    ]
    return {**(rows[0] if rows else {}), "interfaces": rows}
