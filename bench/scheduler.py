"""Pods bound per second by the scheduler over an API in memory: no HTTP, no disk, admission off.

What comes in: nothing. What goes out: one line per cluster size: pods that wait when the scheduler starts, and how many of them
it has bound per second, the informers' work, the bindings and the events included.

    python bench/scheduler.py [--nodes 1000 5000] [--pods 3000] [--rules plain spread anti]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from typing import Any

from bareboat.base.clock import SystemClock
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import InformerFactory
from bareboat.scheduler.scheduler import Scheduler
from bareboat.testing.kernel import Kernel
from bareboat_sched_policies.allocation import BalancedAllocation, LeastAllocated

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
SELECTOR = {"matchLabels": {"app": "web"}}


def node(number: int) -> Any:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    labels = {HOST: f"node-{number}", ZONE: f"zone-{number % 3}"}
    return from_tree(
        core_v1.Node, {"metadata": {"name": f"node-{number}", "labels": labels}, "status": {"capacity": room, "allocatable": room}}
    )


def pod(number: int, rules: str) -> Any:
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    spec: dict[str, Any] = {"containers": [container]}
    if rules == "spread":
        spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}
        spec["topologySpreadConstraints"] = [spread]
    if rules == "preempt":
        spec |= {"priority": 100, "terminationGracePeriodSeconds": 0}
    if rules == "anti":
        term = {"topologyKey": HOST, "labelSelector": SELECTOR}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    meta = {"name": f"pod-{number}", "namespace": "default", "labels": {"app": "web"}}
    return from_tree(core_v1.Pod, {"metadata": meta, "spec": spec})


async def fill(kernel: Kernel, nodes: int) -> None:
    """Ten pods on every node that leave no room and matter less."""
    for number in range(nodes):
        for nth in range(10):
            low = pod(number, "")
            low.metadata.name = f"low-{number}-{nth}"
            low.spec.nodeName, low.spec.priority = f"node-{number}", nth
            low.spec.terminationGracePeriodSeconds = 0
            low.spec.containers[0].resources.requests = {"cpu": "3200m"}
            await kernel.client.create(low)


async def measure(nodes: int, pods: int, rules: str, *, as_json: bool = False) -> None:
    kernel = await Kernel(clock=SystemClock()).start()
    for number in range(nodes):
        await kernel.client.create(node(number))
    if rules == "preempt":
        await fill(kernel, nodes)
    for number in range(pods):
        await kernel.client.create(pod(number, rules))
    informers = InformerFactory(kernel.client)
    events = EventRecorder(kernel.client, "bench", kernel.clock, kernel.ids, limited=False)
    policies = [(LeastAllocated(), 1), (BalancedAllocation(), 1)]
    scheduler = Scheduler(kernel.client, informers, policies, clock=kernel.clock, ids=kernel.ids, events=events)
    bound: set[str] = set()
    watched = informers.of(core_v1.Pod)
    first: list[float] = []
    done = asyncio.Event()

    def seen(key: str, _old: bytes | None, new: bytes | None) -> None:
        if new is not None and b'"nodeName":' in new and "/pod-" in key:
            if not bound:
                first.extend((time.perf_counter(), time.process_time()))
            bound.add(key)
            if len(bound) == pods:
                done.set()

    watched.on_change(seen)
    started = time.perf_counter()
    tasks = [asyncio.ensure_future(run) for run in (informers.run(), events.run(), scheduler.run())]
    try:
        async with asyncio.timeout(120):
            await done.wait()
    except TimeoutError:
        print(f"gave up: {len(bound)} of {pods} bound")
    now, cpu = time.perf_counter(), time.process_time()
    took, after, used = now - started, now - first[0], cpu - first[1]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await kernel.stop()
    if as_json:
        print(json.dumps({"bound": len(bound), "seconds": took, "cpu_seconds": used}))
        return
    rates = f"{len(bound) / took:6.0f} bound/s, from the first on {len(bound) / after:6.0f}/s, {used / len(bound) * 1000:.2f} ms CPU each"
    print(f"{nodes:>6} nodes, {pods} pods, {rules:<7} {took:6.2f} s {rates}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--pods", type=int, default=3000)
    parser.add_argument("--rules", nargs="+", choices=["plain", "spread", "anti", "preempt"], default=["plain", "spread", "anti"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    wanted = parser.parse_args()
    logging.disable(logging.WARNING)  # the recorder says which events it drops
    for nodes in wanted.nodes:
        for rules in wanted.rules:
            asyncio.run(measure(nodes, min(wanted.pods, nodes) if rules == "anti" else wanted.pods, rules, as_json=wanted.json))


if __name__ == "__main__":
    main()
