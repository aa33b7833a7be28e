"""Creates, each of a name that is new, beside the 5,000 Pods that are there."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench import objects
from bench.bench import WRITES, Bench
from bench.row import Measured, Row


def _create(bench: Bench, clients: int, plural: str, tree: dict[str, Any]) -> Measured:
    return bench.load(f"{WRITES}/{plural}", clients, method="POST", tree=tree)


def _pod() -> dict[str, Any]:
    tree = objects.pod("", 1)
    tree["metadata"]["namespace"] = "bench-writes"
    return tree


def _row(kind: str, plural: str, clients: int, upstream: float, ratio: float, tree: dict[str, Any]) -> Row:
    measure = partial(_create, clients=clients, plural=plural, tree=tree)
    return Row(f"create-{kind.lower()}-{clients}", f"create {kind}, {clients} clients", "rate", upstream, ratio, measure, wired=True)


ROWS = [
    _row("Pod", "pods", 1, 553, 2, _pod()),
    _row("Pod", "pods", 16, 992, 4, _pod()),
    _row("Pod", "pods", 64, 1018, 4, _pod()),
    _row("ConfigMap", "configmaps", 16, 2116, 3, objects.config_map("")),
    _row("ConfigMap", "configmaps", 64, 2402, 4, objects.config_map("")),
]
