"""Metrics of a server as Prometheus text, under upstream's names where upstream has them."""

from __future__ import annotations

import asyncio
import resource

from bareboat.store.log import Log


def render(log: Log, loop: asyncio.AbstractEventLoop) -> str:
    """One scrape."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines = ["# TYPE apiserver_storage_objects gauge"]
    for name in sorted(log.resources()):
        group, _, plural = name.partition("/")
        label = plural if group == "core" else f"{plural}.{group}"
        lines.append(f'apiserver_storage_objects{{resource="{label}"}} {log.count(name + "/")}')
    lines += [
        "# TYPE bareboat_store_revision gauge",
        f"bareboat_store_revision {log.head}",
        "# TYPE apiserver_longrunning_requests gauge",
        f'apiserver_longrunning_requests{{verb="WATCH"}} {log.subscribers}',
        "# TYPE process_cpu_seconds_total counter",
        f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime:.3f}",
        "# TYPE process_resident_memory_bytes gauge",
        f"process_resident_memory_bytes {_resident()}",
        "# TYPE bareboat_tasks gauge",
        f"bareboat_tasks {len(asyncio.all_tasks(loop))}",
    ]
    return "\n".join(lines) + "\n"


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
