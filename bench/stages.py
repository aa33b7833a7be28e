"""What each stage of a create and of a change costs, in process: no HTTP, a store in memory, one request at a time.

The functions that are the stages are wrapped while 2,000 Pods, then as many ConfigMaps, are created; a stage's figure is its own
time, without the stages inside it. It is CPU time of the thread, so other work on the machine counts little. The totals without the
wrapping stand below, one request at a time and 64 at once: those share the loop's turns and the commits.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import Any

from bench import objects, updates
from bench.metering import Meter

COUNT = 2000
WARM = 300
AT_ONCE = 64
#: CPU microseconds per stage at the goal (4,000 creates a second with everything on, in one process, beside its clients).
BUDGET = {
    "authorize": 5,
    "decode": 15,
    "default": 10,
    "managedFields": 20,
    "admit": 20,
    "validate": 40,
    "encode": 10,
    "commit": 25,
    "broadcast": 5,
}
STAGES: list[tuple[str, str]] = [
    ("authorize", "bareboat.api.service.Service.authorize"),
    ("decode", "bareboat.api.body.read"),
    ("decode", "bareboat.api.templates.Templates.read"),
    ("default", "bareboat.api.kinds.core.pods.PodStrategy.default"),
    ("default", "bareboat.api.strategy.Strategy.default"),
    ("managedFields", "bareboat.api.ownership.track_new"),
    ("admit", "bareboat.admission.chain.Chain.mutate"),
    ("admit", "bareboat.admission.chain.Chain.validate"),
    ("validate", "bareboat.api.kinds.core.pods.PodStrategy.prepare_create"),
    ("validate", "bareboat.api.kinds.base.KindStrategy.prepare_create"),
    ("validate", "bareboat.api.writing.validate_metadata_create"),
    ("validate", "bareboat.api.kinds.core.pods.PodStrategy.judge"),
    ("validate", "bareboat.api.strategy.Strategy.judge"),
    ("encode", "bareboat.api.writing._stored"),
    ("commit", "bareboat.store.log.Log._submit"),
    ("broadcast", "bareboat.store.broadcast.Broadcast.publish"),
]


async def _create(client: Any, plural: str, count: int, since: int, at_once: int = 1) -> float:
    """CPU seconds of ``count`` creates by so many clients."""
    tree = objects.pod("@NAME@", 1) if plural == "pods" else objects.config_map("@NAME@")
    base = objects.text(tree).replace('"namespace":"bench"', '"namespace":"default"')
    bodies = iter([base.replace("@NAME@", f"p{since + number}").encode() for number in range(count)])

    async def one_client() -> None:
        for body in bodies:
            answer = await client.transport.request("POST", f"/api/v1/namespaces/default/{plural}", body=body)
            assert answer.status == 201, answer.body

    began = time.thread_time()
    if at_once == 1:
        await one_client()
    else:
        await asyncio.gather(*(one_client() for _ in range(at_once)))
    return time.thread_time() - began


async def measure() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Microseconds by stage of creates by kind, and of the changes by name."""
    from bareboat.admission.builtin import builtin
    from bareboat.base.clock import SystemClock
    from bareboat.testing.kernel import Kernel
    from bareboat_admission_builtin.choice import chosen
    from bareboat_admission_builtin.options import parse

    admission = lambda reader, host: [*builtin(reader, host), *chosen(reader, host, parse({}))]  # noqa: E731
    kernel = await Kernel(clock=SystemClock(), admission=admission).start()
    try:
        await _accounts(kernel.client)
        created = {plural: await _stages_of(kernel.client, plural) for plural in ("pods", "configmaps")}
        return created, await updates.measure(kernel.client)
    finally:
        await kernel.stop()


async def _stages_of(client: Any, plural: str) -> dict[str, float]:
    await _create(client, plural, WARM, 0)
    plain = await _create(client, plural, COUNT, WARM)
    together = await _create(client, plural, COUNT, WARM + COUNT, AT_ONCE)
    meter = Meter(STAGES)
    with ExitStack() as stack:
        meter.wrap(stack)
        total = await _create(client, plural, COUNT, WARM + 2 * COUNT)
    return {**meter.micros(COUNT, total, plain), f"total, {AT_ONCE} at once": together / COUNT * 1e6}


async def _accounts(client: Any) -> None:
    account = json.dumps({"metadata": {"name": "default"}}).encode()
    await client.transport.request("POST", "/api/v1/namespaces/default/serviceaccounts", body=account)


def show(output: str) -> int:
    created, changed = asyncio.run(measure())
    if output == "json":
        print(json.dumps({"microseconds": created, "budget": BUDGET, "changes": changed}, indent=2))
        return 0
    print(f"{'stage of a create':20} {'Pod, µs':>8} budget {'ConfigMap, µs':>14}")
    for stage, micros in created["pods"].items():
        print(f"{stage:20} {micros:8.1f} {BUDGET.get(stage, ''):>6} {created['configmaps'][stage]:14.1f}")
    print(f"\n{'stage of a change':20} " + " ".join(f"{name:>12}" for name in changed))
    for stage in next(iter(changed.values())):
        print(f"{stage:20} " + " ".join(f"{of[stage]:12.1f}" for of in changed.values()))
    return 0
